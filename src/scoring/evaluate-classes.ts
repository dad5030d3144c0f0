import { UserError } from '../common/errors.ts';
import { silent } from '../common/reporter.ts';
import type { Dataset } from '../data/datasets/index.ts';
import type { Classifier } from './classifier.ts';
import { type EvaluateOptions, samplesOf, takeResults } from './evaluate-model.ts';

/** What {@link evaluateClasses} finds. */
export interface ClassEvaluation {
  /** Share of images that were classified right; null where there are none. */
  readonly accuracy: number | null;
  /** Of each class that has images, how many, and the share of them that was classified right. */
  readonly classes: readonly { readonly name: string; readonly n: number; readonly accuracy: number }[];
  /** Of each image that could be read, by its name in the dataset. */
  readonly rows: readonly { readonly name: string; readonly class: string; readonly prediction: string }[];
  /** Why an image was left out, by name. */
  readonly skipped: readonly string[];
}

/**
 * Classifies one part of a dataset and compares with its classes, by name.
 *
 * @throws UserError for a dataset of scores, or a part without images
 * @throws Stopped if `signal` ended it
 */
export async function evaluateClasses(
  classifier: Classifier,
  dataset: Dataset,
  { part = 'test', reporter = silent, signal }: EvaluateOptions = {},
): Promise<ClassEvaluation> {
  const { classNames } = dataset;
  if (!classNames)
    throw new UserError(`${dataset.name} has scores, not classes`, 'Evaluate a Scorer, with evaluateModel.');
  const samples = samplesOf(dataset, part);
  const rows: { name: string; class: string; prediction: string }[] = [];
  const bar = reporter.bar(`classifying the ${part} set`, samples.length);
  const skipped = await takeResults(
    classifier.classify(samples.map(({ path }) => path)),
    samples,
    { signal, advance: () => bar.advance() },
    ({ name, mos }, { class: prediction }) => rows.push({ name, class: classNames[mos]!, prediction }),
  );
  bar.stop();
  const shareOf = (of: typeof rows) => of.filter((row) => row.class === row.prediction).length / of.length;
  const classes = classNames.flatMap((name) => {
    const own = rows.filter((row) => row.class === name);
    return own.length > 0 ? [{ name, n: own.length, accuracy: shareOf(own) }] : [];
  });
  return { accuracy: rows.length > 0 ? shareOf(rows) : null, classes, rows, skipped };
}
