import { allOrNone } from '../autograd/scope.ts';
import { UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import { Resources } from '../common/resources.ts';
import { writeSplitCsv } from '../data/datasets/index.ts';
import type { DatasetFeatures } from '../features/dataset-features.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { StoredFeatures } from '../features/feature-source.ts';
import type { FeatureExtractor } from '../features/image-encoder.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import type { Clip } from '../model/clip.ts';
import { loadClip } from '../model/load-clip.ts';
import type { VisionTransformer } from '../model/vit.ts';
import { mosScale } from './class-centers.ts';
import { checkLearner, createLearner } from './create-learner.ts';
import { runFolder } from './default-folder.ts';
import { encodeRun, openImages } from './encode-run.ts';
import { NonFiniteError } from './finite.ts';
import type { Learner } from './learner.ts';
import { TrainingLoop } from './loop.ts';
import { openRun, type Run, type RunRecord, type TrainingOptions, trainingKind } from './open-run.ts';
import {
  metricsText,
  percent,
  type RunOutcome,
  type RunSummary,
  runOutcome,
  writeResults,
} from './results.ts';
import { withAbsolutePaths } from './resume.ts';
import { withDoubt } from './run-doubt.ts';
import { keepRunTuning, madeAsTuned, useRunTuning } from './run-tuning.ts';
import { SavedRun } from './saved-run.ts';
import { clipOptions, type Settings } from './settings.ts';
import { type TrainingData, trainingData } from './training-data.ts';
import type { EpochRecord, TrainingState } from './training-state.ts';
import { warnNearDuplicates } from './warn-near-duplicates.ts';

export { metricsText, percent, type RunSummary } from './results.ts';

/** Looks at a run while what it runs on is still there. */
export interface RunInspector {
  /** Before the image tower is freed, where the features of all images are known. */
  encoded(vision: VisionTransformer, encoder: FeatureExtractor, settings: Settings): void;
  /** Once the outcome is known: the loop may be trained on from here, since nobody reads it any more. */
  trained(loop: TrainingLoop, clip: Clip, settings: Settings): Promise<void>;
}

export interface InspectedOptions extends TrainingOptions {
  readonly inspector?: RunInspector | undefined;
}

/**
 * Trains as `settings` say, and leaves checkpoints, metrics and predictions in the run's folder.
 *
 * @throws UserError if the run cannot begin, go on, or ends in numbers that are not finite
 * @throws Stopped if `options.signal` ended it
 */
export async function trainRun(gpu: Gpu, given: Settings, options: InspectedOptions): Promise<RunSummary> {
  const began = performance.now();
  // Nothing learns in a zero-shot model.
  const settings = withAbsolutePaths(given.trainer === 'zero-shot' ? { ...given, epochs: 0 } : given);
  const saved = await SavedRun.open(trainingKind, runFolder(settings), settings, options);
  try {
    const run = await openRun(saved, options);
    const outcome = await recovering(gpu, (device) => attempt(device, run, options.inspector), {
      progress: () => saved.done + run.encoded.count,
      lost: ({ message }) => options.reporter.line(`recovering ${message}`),
    });
    const seconds = (performance.now() - began) / 1000;
    return await writeResults(run, outcome, { adapter: gpu.adapter.name, seconds });
  } catch (error) {
    throw saved.explain(error);
  } finally {
    saved.close();
  }
}

/** All that needs a device: encodes what is not encoded yet, trains from the last checkpoint to the end, and reads the outcome. */
async function attempt(gpu: Gpu, run: Run, inspector?: RunInspector): Promise<RunOutcome> {
  const { saved, settings, tokenizer, weights, dataset } = run;
  const held = new Resources();
  try {
    // One tower after the other: the text tower's weights come once the image tower's, as a rule, have gone.
    if (run.options.resume !== false) await useRunTuning(gpu, saved.folder, run.options.reporter);
    const vision = held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), text: false }));
    checkLearner(vision.config, tokenizer, settings, run.words);
    const encoder = featureExtractor(vision.vision, weights.id, settings);
    if (await saved.begin(settings.epochs)) {
      await writeSplitCsv(saved.folder.file('split.csv'), dataset);
      await warnNearDuplicates(dataset, { ...run.options, cache: settings.cache });
    }

    const images = held.hold(await openImages(gpu, vision, encoder, run));
    const features = await encodeRun(run, images);
    if (features.train instanceof StoredFeatures) {
      inspector?.encoded(vision.vision, encoder, settings);
      vision.releaseVision();
    }

    const clip = tokenizer
      ? held.hold(await loadClip(gpu, weights.path, { ...clipOptions(settings), vision: false }))
      : vision;
    const data = trainingData(dataset, features, settings);
    const make = () => loopOf(gpu, run, learnerOf(run, clip, features, data), data);
    const { loop } = held.hold(
      await madeAsTuned(gpu, settings.tune, make, ({ loop: tried }) => tried.rehearse()),
    );
    await keepRunTuning(gpu, settings.tune, saved.folder);

    const start = (await saved.restore(loop.tensors())) ?? (await beginning(run, loop, data));
    const state = await trainEpochs(run, loop, start);
    const outcome = await withDoubt(run, await runOutcome(run, loop, data, state), {
      features,
      make: (part) => loopOf(gpu, run, learnerOf(run, clip, features, part), part),
    });
    await inspector?.trained(loop, clip, settings);
    return outcome;
  } finally {
    await held.release();
  }
}

/** The loop of a learner, which it disposes of with itself. */
function loopOf(gpu: Gpu, { settings }: Run, learner: Learner, data: TrainingData) {
  try {
    const loop = allOrNone(() => new TrainingLoop(gpu, learner, data, settings));
    return {
      loop,
      dispose() {
        loop.dispose();
        learner.dispose();
      },
    };
  } catch (error) {
    learner.dispose();
    throw error;
  }
}

/** The learner of a run, freshly initialized. */
export function learnerOf(
  run: Run<RunRecord>,
  clip: Clip,
  features: DatasetFeatures,
  data: Pick<TrainingData, 'train' | 'mos' | 'classes'>,
): Learner {
  const { settings, tokenizer, dataset, words } = run;
  const ofTrain = (values: ArrayLike<number>) => Array.from(data.train, (sample) => values[sample]!);
  const scale = mosScale(ofTrain(data.mos), ofTrain(data.classes), dataset.thresholds);
  return createLearner(
    clip,
    tokenizer,
    features.test.width,
    settings,
    scale,
    () => features.known.statistics(data.train),
    words,
  );
}

/** Where a run stands that has no checkpoint, with what the learner predicts before it has learned. */
async function beginning({ settings, options }: Run, loop: TrainingLoop, data: TrainingData) {
  const before = await loop.evaluator.score(data.test).catch((error) => {
    if (!(error instanceof NonFiniteError)) throw error;
    throw new UserError(
      `${error.message} before training`,
      'The weights are damaged, or their features are too large for this head.',
      { cause: error },
    );
  });
  const text = data.classNames
    ? `accuracy ${percent(await loop.evaluator.accuracy(data.test))}`
    : metricsText(before);
  options.reporter.line(`untrained  ${text}`);
  const plan = [{ after: 0, epochs: settings.epochs }];
  return { epoch: 0, records: [], best: null, before, plan };
}

async function trainEpochs(run: Run, loop: TrainingLoop, start: TrainingState): Promise<TrainingState> {
  const { saved, settings, options, weights } = run;
  const bar = options.reporter.bar('training', (settings.epochs - start.epoch) * loop.stepsPerEpoch);
  const more = { weightsId: weights.id, words: run.words };
  const events = {
    step: () => bar.advance(),
    epoch: async (state: TrainingState, record: EpochRecord, improved: boolean) => {
      const best = settings.finalModel === 'best_val' ? bestOf(state, saved.last?.state) : null;
      await saved.save(state, loop.tensors(), more, best);
      options.reporter.line(epochText(record, settings.epochs, improved));
      await options.epoch?.(record);
    },
  };
  try {
    return await loop.run(start, events, options.signal);
  } finally {
    bar.stop();
  }
}

/** Which part of the last checkpoint the best epoch's parameters are, unless that epoch is the one that is being saved. */
function bestOf({ best, epoch }: TrainingState, last: TrainingState | undefined) {
  if (!best || best.epoch === epoch || !last) return null;
  return best.epoch === last.epoch ? 'parameters' : 'best';
}

function epochText(
  { epoch, lr, loss, val, test, accuracy }: EpochRecord,
  epochs: number,
  improved: boolean,
): string {
  const number = String(epoch).padStart(String(epochs).length);
  const parts = [`epoch ${number}/${epochs}  lr ${lr.toExponential(2)}  loss ${loss.toFixed(5)}`];
  if (val) parts.push(`val SRCC ${figureText(val.srcc)}${improved ? ' (best)' : ''}`);
  if (test) parts.push(`test SRCC ${figureText(test.srcc)} PLCC ${figureText(test.plcc)}`);
  if (!val && typeof accuracy?.val === 'number')
    parts.push(`val accuracy ${percent(accuracy.val)}${improved ? ' (best)' : ''}`);
  if (typeof accuracy?.test === 'number') parts.push(`accuracy ${percent(accuracy.test)}`);
  return parts.join('  ');
}
