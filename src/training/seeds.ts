import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeFile } from '../common/disk.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { prepareFolder, writeOutput } from '../common/files.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { runFolder } from './default-folder.ts';
import { type InspectedOptions, type RunSummary, trainRun } from './run.ts';
import { resumeCommand } from './run-command.ts';
import { isRun, refuseRun } from './run-folder.ts';
import type { Settings } from './settings.ts';

/** Those of scores, or the accuracy of images that belong to classes. */
export type SeedFigures = Readonly<Partial<Record<'srcc' | 'plcc' | 'krcc' | 'rmse' | 'accuracy', number>>>;

/** What several runs come to, also written as seeds.json beside their folders. */
export interface SeedsSummary {
  readonly folder: string;
  /** Of each seed, on the test part. */
  readonly runs: readonly (SeedFigures & { readonly seed: number; readonly folder: string })[];
  readonly mean: SeedFigures;
  /** Sample standard deviation (n - 1); not defined for one run. */
  readonly std: SeedFigures;
}

/** A list such as `1,2,3`. */
export function parseSeeds(text: string): number[] {
  const seeds = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  if (!seeds.every(Number.isSafeInteger) || new Set(seeds).size < seeds.length)
    throw new UserError(
      `--seeds takes distinct integers below 2^53, not ${text}`,
      'Separate them by commas: --seeds 1,2,3.',
    );
  return seeds;
}

/** Mean and sample standard deviation. */
export function meanAndStd(values: readonly number[]): { mean: number; std: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : Number.NaN };
}

/**
 * One run after the other, each in the folder `seedN` of `settings.out` or of the default folder. The feature cache
 * spares later runs the center crops; training crops are drawn by the seed. `resume` continues where a seed's run has begun.
 */
export async function trainSeeds(
  gpu: Gpu,
  settings: Settings,
  seeds: readonly number[],
  options: InspectedOptions & {
    /** After each run. */
    readonly finished?: (summary: RunSummary) => Promise<void> | void;
  },
): Promise<SeedsSummary> {
  const { resume, overwrite, reporter, finished } = options;
  const folder = settings.out || dirname(runFolder(settings));
  const from = typeof resume === 'string' ? resume : folder;
  const file = join(folder, 'seeds.json');
  // Before hours of work, not after the first seed's.
  prepareFolder(folder);
  if (!resume && !overwrite) for (const seed of seeds) refuseRun(join(folder, `seed${seed}`), 'train');
  // Of earlier runs, some of which are about to change.
  if (existsSync(file)) {
    if (!resume && !overwrite)
      throw new UserError(
        `${file} already exists`,
        'Continue with --resume, replace it with --overwrite, or choose another folder with --out.',
      );
    removeFile(file);
  }
  const runs: (SeedFigures & { seed: number; folder: string })[] = [];
  let names: (keyof SeedFigures)[] = [];
  for (const [i, seed] of seeds.entries()) {
    reporter.line(`seed ${seed}     run ${i + 1} of ${seeds.length}`);
    const out = join(folder, `seed${seed}`);
    const earlier = join(from, `seed${seed}`);
    const how = { ...options, resume: resume !== false && isRun(earlier) && earlier };
    const summary = await trainRun(gpu, { ...settings, seed, out }, how).catch((error) => {
      if (!(error instanceof Stopped)) throw error;
      const command = `${resumeCommand(folder, 'train')} --seeds ${seeds.join()}`;
      throw new Stopped(`in run ${i + 1} of ${seeds.length} (seed ${seed}) ${error.done}`, command);
    });
    await finished?.(summary);
    const figures = figuresOf(summary);
    if (!figures)
      throw new UserError(`${settings.data} has no test set, so there is nothing to compare the seeds by`);
    runs.push({ seed, folder: out, ...figures });
    names = Object.keys(figures) as (keyof SeedFigures)[];
  }
  const over = (part: 'mean' | 'std'): SeedFigures =>
    Object.fromEntries(
      names.map((name) => [name, meanAndStd(runs.map((run) => run[name] ?? Number.NaN))[part]]),
    );
  const summary: SeedsSummary = { folder, runs, mean: over('mean'), std: over('std') };
  await writeOutput(file, `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

function figuresOf({ test, classes, accuracy }: RunSummary): SeedFigures | null {
  if (classes) return accuracy === null ? null : { accuracy };
  if (!test) return null;
  const { srcc, plcc, krcc, rmse } = test.overall;
  return { srcc, plcc, krcc, rmse };
}
