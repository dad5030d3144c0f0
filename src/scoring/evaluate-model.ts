import { Stopped, UserError } from '../common/errors.ts';
import { type Reporter, silent } from '../common/reporter.ts';
import type { Dataset, Sample } from '../data/datasets/index.ts';
import { type Evaluation, evaluate } from '../data/metrics/evaluation.ts';
import type { Scorer } from './scorer.ts';

/** How a saved model is evaluated. */
export interface EvaluateOptions {
  /** Which part of the dataset; `test` by default. */
  readonly part?: 'train' | 'val' | 'test' | undefined;
  /** Shown how far it has come. */
  readonly reporter?: Reporter | undefined;
  /** Ends it before its next image. */
  readonly signal?: AbortSignal | undefined;
}

/** The samples of a part, of which there is to be at least one. */
export function samplesOf({ name, split, samples }: Dataset, part: 'train' | 'val' | 'test'): Sample[] {
  if (split[part].length === 0) throw new UserError(`${name} has no ${part} set`);
  return Array.from(split[part], (at) => samples[at]!);
}

/**
 * Hands the result of each image that could be read to `take`, with its sample.
 *
 * @returns why the others could not
 * @throws Stopped if `signal` ended it
 */
export async function takeResults<Result extends { readonly index: number }>(
  results: AsyncIterable<Result>,
  samples: readonly Sample[],
  { signal, advance }: { readonly signal: AbortSignal | undefined; readonly advance?: () => void },
  take: (sample: Sample, result: Exclude<Result, { readonly error: string }>) => void,
): Promise<string[]> {
  const skipped: string[] = [];
  let count = 0;
  for await (const result of results) {
    if (signal?.aborted) throw new Stopped(`after ${count} of ${samples.length} images; nothing was written`);
    count++;
    if ('error' in result) skipped.push(result.error as string);
    else take(samples[result.index]!, result as Exclude<Result, { readonly error: string }>);
    advance?.();
  }
  return skipped;
}

/** What {@link evaluateModel} finds. */
export interface ModelEvaluation {
  /** Correlations and errors over all images and by group, with bootstrap 95 % intervals (1000 resamples). */
  readonly evaluation: Evaluation;
  /** Of each image that could be read, by its name in the dataset; both in the unit of the MOS. */
  readonly rows: readonly { readonly name: string; readonly mos: number; readonly prediction: number }[];
  /** Why an image was left out, by name. */
  readonly skipped: readonly string[];
}

/**
 * Scores one part of a dataset and compares with its MOS.
 *
 * @param dataset as `openDataset` gives it; of the settings in which the model was trained, `openDataset(datasetOptions(scorer.settings))`
 * @throws UserError for a dataset of classes, or a part without images
 * @throws Stopped if `signal` ended it
 */
export async function evaluateModel(
  scorer: Scorer,
  dataset: Dataset,
  { part = 'test', reporter = silent, signal }: EvaluateOptions = {},
): Promise<ModelEvaluation> {
  if (dataset.classNames)
    throw new UserError(
      `${dataset.name} has classes, not scores`,
      'Evaluate a Classifier, with evaluateClasses.',
    );
  const samples = samplesOf(dataset, part);
  const rows: { name: string; mos: number; prediction: number; generator: string }[] = [];
  const paths = samples.map(({ path }) => path);
  const results = scorer.score(paths, { reporter, label: `scoring the ${part} set` });
  const skipped = await takeResults(
    results,
    samples,
    { signal },
    ({ name, mos, generator = '' }, { score: prediction }) => rows.push({ name, mos, prediction, generator }),
  );
  const evaluation = evaluate(
    rows.map(({ prediction }) => prediction),
    rows.map(({ mos }) => mos),
    { groups: rows.map(({ generator }) => generator), bootstrap: 1000 },
  );
  return { evaluation, rows, skipped };
}
