import { join } from 'node:path';
import { Stopped, UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import type { Reporter } from '../common/reporter.ts';
import { type Dataset, openDataset, writeSplitCsv } from '../data/datasets/index.ts';
import { srcc } from '../data/metrics/correlation.ts';
import type { EncodedSoFar } from '../features/dataset-features.ts';
import { nearDuplicates } from '../features/near-duplicates.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { dataIdentity } from '../training/data-identity.ts';
import { openRun, type RunRecord } from '../training/open-run.ts';
import { withAbsolutePaths } from '../training/resume.ts';
import { datasetOptions, type Settings } from '../training/settings.ts';
import { type FoldFile, publishFold, readFold } from './fold-files.ts';
import { encodedFor } from './fold-images.ts';
import { type Fold, makeFolds } from './folds.ts';
import { type Choice, chooseProtocols, type GeneratorUnit, usedSamples } from './protocols.ts';
import { evaluationFolder, openFolder } from './results-folder.ts';
import { trainSeed } from './train-seed.ts';

/** What to evaluate by. */
export interface EvaluationPlan {
  /** `all`, or names of protocols separated by commas. */
  readonly protocols: string;
  readonly folds: number;
  readonly seeds: readonly number[];
  readonly shots: readonly number[];
  readonly generators: GeneratorUnit;
  /** Settings that name the other dataset of `cross`. */
  readonly cross?: Settings | undefined;
}

export interface EvaluationOptions {
  /** Called when something is to be trained. */
  readonly openGpu: () => Promise<Gpu>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** The command line that continues it. */
  readonly resumeCommand?: string | undefined;
  /** Only of every `of` folds the one numbered `part`, from 0: the others are trained by other processes. */
  readonly part?: { readonly part: number; readonly of: number } | undefined;
}

/** A trained fold. */
export interface Outcome {
  readonly fold: Fold;
  readonly seed: number;
  readonly file: FoldFile;
}

/** All folds that are trained: every one, unless only a part was asked for. */
export interface Sweep extends Choice {
  /** Folds in all. */
  readonly total: number;
  readonly folder: string;
  readonly settings: Settings;
  /** With the images of the other dataset after its own, where there is one. */
  readonly dataset: Dataset;
  readonly crossName: string | null;
  readonly outcomes: readonly Outcome[];
}

/**
 * Trains every fold of every protocol that is not trained yet. Each image is encoded once (once a seed where training crops are drawn by
 * it); each finished fold is a file, so a sweep that was killed continues with the first fold that has none.
 *
 * @throws UserError if data, weights or settings do not allow it
 * @throws Stopped if `options.signal` ended it
 */
export async function sweep(
  given: Settings,
  plan: EvaluationPlan,
  options: EvaluationOptions,
): Promise<Sweep> {
  const { reporter, signal } = options;
  const settings = withAbsolutePaths(given.trainer === 'zero-shot' ? { ...given, epochs: 0 } : given);
  const opened = await open(settings, plan, options);
  const { run, dataset } = opened;
  const folder = evaluationFolder(given);
  await openFolder(folder, settings, opened.digest, run.weights.id);
  const explained = (error: unknown, done: string) =>
    signal?.aborted && error === signal.reason ? new Stopped(done, options.resumeCommand) : error;
  const jobs = await foldsBySeed(settings, plan, opened, options).catch((error) => {
    throw explained(error, 'before anything was trained');
  });
  const outcomes = await finishedFolds(folder, jobs, dataset);
  const all = jobs.flatMap(({ folds }) => folds);
  const { part = 0, of = 1 } = options.part ?? {};
  const own = new Set(all.filter((_, i) => i % of === part));
  const left = () => [...own].filter((fold) => !outcomes.has(fold)).length;
  const total = all.length;
  reporter.line(
    `folds      ${total}, ${outcomes.size} of them trained already${of > 1 ? `; ${left()} to do` : ''}`,
  );
  const encoded = new Map<number, EncodedSoFar>();
  const attempt = async (gpu: Gpu) => {
    for (const { seed, folds } of jobs) {
      const pending = folds.filter((fold) => own.has(fold) && !outcomes.has(fold));
      if (pending.length === 0) continue;
      await trainSeed(gpu, { ...run, dataset, settings: { ...settings, seed } }, pending, {
        encoded: encodedFor(encoded, settings, seed),
        done: async (fold, result) => {
          const file = await publishFold(folder, fold, seed, dataset, result);
          outcomes.set(fold, { fold, seed, file });
          reporter.line(
            `${fold.protocol.padEnd(11)}${fold.label}, seed ${seed}: ${figureOf(file, fold, dataset)}`,
          );
        },
        reporter,
        signal,
      });
    }
  };
  try {
    if (left() > 0)
      await recovering(await options.openGpu(), attempt, {
        progress: () => outcomes.size + [...encoded.values()].reduce((sum, { count }) => sum + count, 0),
        lost: ({ message }) => reporter.line(`recovering ${message}`),
      });
  } catch (error) {
    throw explained(error, `after ${own.size - left()} of ${own.size} folds`);
  }
  const { chosen, refused } = opened.choice;
  return {
    folder,
    total,
    settings,
    dataset,
    crossName: opened.crossName,
    chosen,
    refused,
    outcomes: [...outcomes.values()],
  };
}

/** The folds to train with a seed. */
interface Job {
  readonly seed: number;
  readonly folds: readonly Fold[];
}

async function foldsBySeed(
  settings: Settings,
  plan: EvaluationPlan,
  { dataset, choice, cross }: Awaited<ReturnType<typeof open>>,
  options: EvaluationOptions,
): Promise<Job[]> {
  const duplicates = await nearDuplicatesOf(dataset, cross, settings, options);
  return plan.seeds.map((seed) => ({
    seed,
    folds: makeFolds(dataset, {
      ...plan,
      protocols: choice.chosen,
      splitSeed: settings.splitSeed,
      seed,
      valSize: settings.finalModel === 'best_val' ? settings.valSize : 0,
      cross,
      nearDuplicates: duplicates,
    }),
  }));
}

/** Writes the folds' splits, and reads what is trained of them already. */
async function finishedFolds(
  folder: string,
  jobs: readonly Job[],
  dataset: Dataset,
): Promise<Map<Fold, Outcome>> {
  const outcomes = new Map<Fold, Outcome>();
  for (const { seed, folds } of jobs)
    for (const fold of folds) {
      await writeSplitCsv(join(folder, 'splits', `${fold.id}.csv`), { ...dataset, split: fold.split });
      const file = await readFold(folder, fold, seed, dataset);
      if (file) outcomes.set(fold, { fold, seed, file });
    }
  return outcomes;
}

/** Which images are nearly the same; not asked of images that are versions of others on purpose. */
async function nearDuplicatesOf(
  dataset: Dataset,
  cross: readonly number[] | undefined,
  { cache }: Settings,
  { reporter, signal }: EvaluationOptions,
): Promise<Int32Array | undefined> {
  if (dataset.versions) return undefined;
  return nearDuplicates(dataset.samples, [...usedSamples(dataset), ...(cross ?? [])], {
    cache,
    reporter,
    signal,
  });
}

function figureOf({ names, predictions }: FoldFile, { split }: Fold, { samples }: Dataset): string {
  const scores = new Map(Array.from(split.test, (at) => [samples[at]!.name, samples[at]!.mos]));
  const value = srcc(
    predictions,
    names.map((name) => scores.get(name)!),
  );
  return `SRCC ${figureText(value)} on ${names.length} images`;
}

async function open(settings: Settings, plan: EvaluationPlan, { reporter, signal }: EvaluationOptions) {
  // What the folds are made of is the split as it is read.
  const record: RunRecord = {
    settings: { ...settings, finalModel: 'last', shots: 0 },
    last: null,
    from: '',
    identify: () => {},
  };
  const run = await openRun(record, { resume: false, reporter, ...(signal && { signal }) });
  if (run.dataset.classNames)
    throw new UserError(
      '--class-column: an evaluation measures scores, not classes',
      'Name a column of scores with --mos-column.',
    );
  const choice = chooseProtocols(plan.protocols, run.dataset, { ...plan, cross: plan.cross !== undefined });
  const other =
    plan.cross && choice.chosen.includes('cross') ? await openDataset(datasetOptions(plan.cross)) : undefined;
  const { split } = run.dataset;
  const own = run.dataset.samples.length;
  const tested = other
    ? [...other.split.train, ...other.split.val, ...other.split.test].sort((a, b) => a - b)
    : [];
  const dataset: Dataset = {
    ...run.dataset,
    split,
    samples: [...run.dataset.samples, ...(other?.samples ?? [])],
  };
  const { digest } = dataIdentity({
    images: dataset.samples
      .slice(0, own)
      .map(({ name, mos, content, generator }) => [name, mos, content ?? null, generator ?? null]),
  });
  return {
    run,
    dataset,
    choice,
    digest,
    cross: other && tested.map((at) => own + at),
    crossName: other ? `${other.name}, ${other.target}` : null,
  };
}
