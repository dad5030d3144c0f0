import { join } from 'node:path';
import { writeOutput } from '../common/files.ts';
import { packageVersion } from '../common/package.ts';
import { groupingOf } from '../data/datasets/index.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import { decoderId } from '../data/images/decode.ts';
import type { Settings } from '../training/settings.ts';
import { type PairedRows, pairedRows } from './against.ts';
import { readFolds } from './fold-files.ts';
import type { Choice } from './protocols.ts';
import { type EvaluationRow, measure, rowsOf } from './rows.ts';
import { type EvaluationOptions, type EvaluationPlan, type Sweep, sweep } from './sweep.ts';

/** What an evaluation comes to, also written as results.json. */
export interface Evaluated extends Choice {
  readonly folder: string;
  readonly settings: Settings;
  readonly dataset: {
    readonly name: string;
    readonly target: string;
    readonly images: number;
    /** What the images are grouped by: `generator`, or e.g. `distortion`. */
    readonly grouping: string;
  };
  /** The other dataset of `cross`. */
  readonly cross: string | null;
  readonly seeds: readonly number[];
  readonly adapters: readonly string[];
  readonly rows: readonly EvaluationRow[];
  /** Training images left out, over all folds of a protocol, because nearly the same image is in the test set. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly missing: readonly string[];
  /** Summed over all folds. */
  readonly seconds: number;
  readonly paired: PairedRows | null;
  /** ISO 8601 in UTC. */
  readonly finished: string;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Evaluates settings by the protocols of a plan, and leaves in the folder: `folds/` (a finished fold a file), `splits/` (its parts, as CSV),
 * predictions.csv and results.json.
 *
 * @param options.against folder of another evaluation, finished, to compare with
 */
export async function evaluateSettings(
  settings: Settings,
  plan: EvaluationPlan,
  options: EvaluationOptions & { readonly against?: string | undefined; readonly resamples?: number },
): Promise<Evaluated> {
  const { against, resamples = 1000 } = options;
  const done = await sweep(settings, plan, options);
  const lines = rowsOf(done, plan.generators);
  const { folder, dataset, outcomes, chosen, refused, crossName } = done;
  const rows = lines.map((line) => measure(line, { resamples }));
  const paired =
    against === undefined
      ? null
      : pairedRows(lines, dataset, await readFolds(against), { against, resamples });
  await writeOutput(join(folder, 'predictions.csv'), predictionsCsv(done));
  const result: Evaluated = {
    folder,
    settings: done.settings,
    dataset: {
      name: dataset.name,
      target: dataset.target,
      grouping: groupingOf(dataset),
      images: dataset.split.train.length + dataset.split.val.length + dataset.split.test.length,
    },
    cross: crossName,
    seeds: plan.seeds,
    chosen,
    refused,
    adapters: [...new Set(outcomes.map(({ file }) => file.adapter))],
    rows,
    dropped: droppedBy(done),
    missing: dataset.missing,
    seconds: outcomes.reduce((sum, { file }) => sum + file.seconds, 0),
    paired,
    finished: new Date().toISOString(),
    versions: { 'clip-agiqa-webgpu': packageVersion(), node: process.versions.node, decoder: decoderId },
  };
  await writeOutput(join(folder, 'results.json'), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

function predictionsCsv({ outcomes, dataset: { samples } }: Sweep): string {
  const rows = outcomes.flatMap(({ fold, seed, file }) => {
    const byName = new Map(Array.from(fold.split.test, (at) => [samples[at]!.name, samples[at]!]));
    return file.names.map((name, i) => {
      const { mos, generator = '', prompt = '' } = byName.get(name)!;
      return [fold.protocol, fold.label, seed, name, generator, prompt, mos, file.predictions[i]!];
    });
  });
  return csvText([['protocol', 'fold', 'seed', 'name', 'generator', 'prompt', 'mos', 'prediction'], ...rows]);
}

function droppedBy({ outcomes }: Sweep): Record<string, number> {
  const counts: Record<string, number> = {};
  const folds = new Set(outcomes.map(({ fold }) => fold));
  for (const { protocol, dropped } of folds)
    if (dropped > 0) counts[protocol] = (counts[protocol] ?? 0) + dropped;
  return counts;
}
