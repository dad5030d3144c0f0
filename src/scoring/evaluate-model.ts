import { Stopped } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { Dataset } from '../data/datasets/index.ts';
import { type Evaluation, evaluate } from '../data/metrics/evaluation.ts';
import type { Scorer } from './scorer.ts';

export interface ModelEvaluation {
  readonly evaluation: Evaluation;
  readonly rows: readonly { readonly name: string; readonly mos: number; readonly prediction: number }[];
  /** Why an image was left out, by name. */
  readonly skipped: readonly string[];
}

/**
 * Scores one part of a dataset and compares with its MOS.
 *
 * @throws Stopped if `signal` ended it
 */
export async function evaluateModel(
  scorer: Scorer,
  dataset: Dataset,
  part: 'train' | 'val' | 'test',
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<ModelEvaluation> {
  const samples = Array.from(dataset.split[part], (at) => dataset.samples[at]!);
  const rows: { name: string; mos: number; prediction: number; generator: string }[] = [];
  const skipped: string[] = [];
  const paths = samples.map(({ path }) => path);
  const results = scorer.score(paths, { reporter, label: `scoring the ${part} set` });
  for await (const { index, ...result } of results) {
    if (signal?.aborted)
      throw new Stopped(
        `after ${rows.length + skipped.length} of ${samples.length} images; nothing was written`,
      );
    const { name, mos, generator = '' } = samples[index]!;
    if ('error' in result) skipped.push(result.error);
    else rows.push({ name, mos, prediction: result.score, generator });
  }
  const evaluation = evaluate(
    rows.map(({ prediction }) => prediction),
    rows.map(({ mos }) => mos),
    { groups: rows.map(({ generator }) => generator), bootstrap: 1000 },
  );
  return { evaluation, rows, skipped };
}
