import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import type { Gpu } from '../kernels/gpu.ts';
import type { Reporter } from './reporter.ts';
import { type RunSummary, runFolder, trainRun } from './run.ts';
import type { Settings } from './settings.ts';

const figures = ['srcc', 'plcc', 'krcc', 'rmse'] as const;
export type SeedFigures = Readonly<Record<(typeof figures)[number], number>>;

/** What several runs come to, also written as seeds.json beside their folders. */
export interface SeedsSummary {
  readonly folder: string;
  /** Of each seed, on the test part. */
  readonly runs: readonly (SeedFigures & { readonly seed: number; readonly folder: string })[];
  readonly mean: SeedFigures;
  /** Sample standard deviation (n - 1); not defined for one run. */
  readonly deviation: SeedFigures;
}

/** A list such as `1,2,3`. */
export function parseSeeds(text: string): number[] {
  const seeds = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  if (seeds.some(Number.isNaN) || new Set(seeds).size < seeds.length)
    throw new UserError(
      `--seeds takes different whole numbers, not ${text}`,
      'Separate them by commas: --seeds 1,2,3.',
    );
  return seeds;
}

/** Mean and sample standard deviation. */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : Number.NaN };
}

/**
 * One run after the other, each in the folder `seedN` of `settings.out` or of the default folder. The feature cache
 * spares later runs the centre crops; training crops are drawn by the seed. `resume` goes on where a seed's folder has a checkpoint.
 */
export async function trainSeeds(
  gpu: Gpu,
  settings: Settings,
  seeds: readonly number[],
  options: {
    readonly resume: boolean;
    readonly reporter: Reporter;
    /** Write each run's TensorBoard event file too. */
    readonly tensorboard?: boolean;
    /** After each run. */
    readonly finished?: (summary: RunSummary) => Promise<void> | void;
  },
): Promise<SeedsSummary> {
  const { reporter, tensorboard, finished } = options;
  const folder = settings.out || dirname(runFolder(settings));
  const runs: (SeedFigures & { seed: number; folder: string })[] = [];
  for (const [i, seed] of seeds.entries()) {
    reporter.line(`seed ${seed}     run ${i + 1} of ${seeds.length}`);
    const out = join(folder, `seed${seed}`);
    const resume = options.resume && existsSync(join(out, 'checkpoint.safetensors'));
    const summary = await trainRun(gpu, { ...settings, seed, out }, { resume, reporter, tensorboard });
    await finished?.(summary);
    if (!summary.test)
      throw new UserError(`${settings.data} has no test part, so there is nothing to compare the seeds by`);
    const { srcc, plcc, krcc, rmse } = summary.test.overall;
    runs.push({ seed, folder: out, srcc, plcc, krcc, rmse });
  }
  const over = (part: 'mean' | 'deviation') =>
    Object.fromEntries(
      figures.map((name) => [name, meanAndDeviation(runs.map((run) => run[name]))[part]]),
    ) as unknown as SeedFigures;
  const summary: SeedsSummary = { folder, runs, mean: over('mean'), deviation: over('deviation') };
  await writeOutput(join(folder, 'seeds.json'), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}
