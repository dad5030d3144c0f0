import { allOrNone } from '../autograd/scope.ts';
import { UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import type { Reporter } from '../common/reporter.ts';
import { type DatasetFeatures, encodeDataset } from '../features/dataset-features.ts';
import { openFeatureCache } from '../features/feature-cache.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { StoredFeatures } from '../features/feature-source.ts';
import { type FeatureExtractor, ImageEncoder, type UnreadableImage } from '../features/image-encoder.ts';
import { OnlineFeatures } from '../features/online-features.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { Clip } from '../model/clip.ts';
import { type Checkpoint, restore, toHost } from './checkpoint.ts';
import { mosScale } from './class-centers.ts';
import { checkLearner, createLearner } from './create-learner.ts';
import { requireSameData } from './data-identity.ts';
import { checkState, NonFiniteError } from './finite.ts';
import { type EpochRecord, TrainingLoop, type TrainingState } from './loop.ts';
import {
  metricsText,
  type RunOutcome,
  type RunSummary,
  runOutcome,
  wordsOf,
  writeResults,
} from './results.ts';
import { beginRun, explained, openRun, type Run, type RunOptions, saveCheckpoint } from './run-state.ts';
import { clipOptions, type Settings } from './settings.ts';
import { type TrainingData, trainingData } from './training-data.ts';

export { metricsText, type RunSummary } from './results.ts';

/**
 * Trains as `settings` say, and leaves checkpoints, metrics and predictions in the run's folder.
 *
 * @throws UserError if the run cannot begin, go on, or ends in numbers that are not finite
 * @throws Stopped if `options.signal` ended it
 */
export async function trainRun(gpu: Gpu, settings: Settings, options: RunOptions): Promise<RunSummary> {
  const began = performance.now();
  const run = await openRun(settings, options);
  try {
    const outcome = await recovering(gpu, (device) => attempt(device, run), {
      progress: () => (run.last?.state.epoch ?? 0) + run.encoded.count,
      lost: ({ message }) => options.reporter.line(`recovering ${message}`),
    });
    const seconds = (performance.now() - began) / 1000;
    return await writeResults(run, outcome, { adapter: gpu.adapter.name, seconds });
  } catch (error) {
    throw explained(run, error);
  } finally {
    run.folder.release();
  }
}

/** All that needs a device: encodes what is not encoded yet, trains from the last checkpoint to the end, and reads the outcome. */
async function attempt(gpu: Gpu, run: Run): Promise<RunOutcome> {
  const { settings, tokenizer, weights } = run;
  // One tower after the other: the text tower's weights come once the image tower's, as a rule, have gone.
  const visionClip = await Clip.load(gpu, weights.path, { ...clipOptions(settings), text: false });
  let clip = visionClip;
  let images: ImageEncoder | undefined;
  try {
    checkLearner(visionClip.config, tokenizer, settings);
    const encoder = featureExtractor(visionClip.vision, weights.id, settings);
    await beginRun(run);
    images = await openImages(gpu, visionClip, encoder, run);
    const features = await encodeRun(run, images);
    if (features.train instanceof StoredFeatures) visionClip.releaseVision();
    if (tokenizer) clip = await Clip.load(gpu, weights.path, { ...clipOptions(settings), vision: false });
    return await trainOn(gpu, run, clip, features);
  } finally {
    await images?.close();
    for (const towers of new Set([visionClip, clip])) towers.dispose();
  }
}

async function openImages(
  gpu: Gpu,
  { vision }: Clip,
  encoder: FeatureExtractor,
  { settings, options }: Run,
): Promise<ImageEncoder> {
  // Crops drawn anew each step would fill it without ever being met again.
  const drawnAnew = settings.augment === 'crop' && settings.views === 0;
  const cache = await openFeatureCache(drawnAnew ? 'none' : settings.cache, {
    width: encoder.width,
    type: settings.cacheType,
    warn: (line) => options.reporter.line(line),
  });
  return new ImageEncoder(gpu, vision, encoder, { batch: settings.encodeBatch, cache });
}

/** The features of the run's images, as far as they are known before training. */
async function encodeRun(run: Run, images: ImageEncoder): Promise<DatasetFeatures> {
  const { settings, dataset, options, last } = run;
  if (!run.features) {
    const { train, val, test } = dataset.split;
    const learns = settings.trainer !== 'zero-shot';
    // The views of a run that was extended stay those it began with.
    const epochs = last?.state.plan?.[0]?.epochs ?? settings.epochs;
    run.features = await encodeDataset(
      images,
      dataset,
      { trained: learns ? train : new Int32Array(), centered: Int32Array.from([...val, ...test]) },
      { ...settings, epochs },
      { reporter: options.reporter, signal: options.signal, soFar: run.encoded },
    );
    const { encoded, cached } = images.counters;
    options.reporter.line(`features   ${encoded} encoded, ${cached} from the cache`);
    reportUnreadable(run.features.unreadable, options.reporter);
    if (last) requireSameData(last.data!, identified(run), run.folder.path);
  }
  if (!(run.features.train instanceof OnlineFeatures)) return run.features;
  return { ...run.features, train: new OnlineFeatures(images, dataset.samples, settings.seed) };
}

/** What the run is trained on, now that it is known which images can be decoded. */
function identified({ data, dataset, features }: Run) {
  const names = [...features!.unreadable.keys()].map((sample) => dataset.samples[sample]!.name);
  return { ...data, unreadable: names.sort() };
}

async function trainOn(gpu: Gpu, run: Run, clip: Clip, features: DatasetFeatures): Promise<RunOutcome> {
  const { settings, dataset } = run;
  const data = trainingData(dataset, features, settings);
  const ofTrain = <T>(values: ArrayLike<T>) => Array.from(data.train, (sample) => values[sample]!);
  const scale = mosScale(ofTrain(data.mos), ofTrain(data.classes), dataset.thresholds);
  const learner = createLearner(clip, run.tokenizer, features.test.width, settings, scale, () =>
    features.known.statistics(data.train),
  );
  try {
    const loop = allOrNone(() => new TrainingLoop(gpu, learner, data, settings));
    try {
      const state = await trainEpochs(run, loop, await startState(run, loop, data));
      return await runOutcome(run, loop, data, state);
    } finally {
      loop.dispose();
    }
  } finally {
    learner.dispose();
  }
}

/** Where training starts: at the last checkpoint, whose values go to the device, or at the beginning. */
async function startState(run: Run, loop: TrainingLoop, data: TrainingData): Promise<TrainingState> {
  const { last, settings, folder, options } = run;
  if (last) {
    restore(loop.learner.parameters(), last.parameters, folder.path);
    restore(loop.optimizer?.state() ?? new Map(), last.optimizer, folder.path);
    options.reporter.line(`resuming   after epoch ${last.state.epoch} of ${settings.epochs}`);
    return last.state;
  }
  const before = await loop.evaluator.score(data.test).catch((error) => {
    if (!(error instanceof NonFiniteError)) throw error;
    throw new UserError(
      `${error.message} before training`,
      'The weights are damaged, or their features are too large for this head.',
      { cause: error },
    );
  });
  options.reporter.line(`untrained  ${metricsText(before)}`);
  const plan = [{ after: 0, epochs: settings.epochs }];
  return { epoch: 0, records: [], best: null, before, plan };
}

async function trainEpochs(run: Run, loop: TrainingLoop, start: TrainingState): Promise<TrainingState> {
  const { settings, options } = run;
  const bar = options.reporter.bar('training', (settings.epochs - start.epoch) * loop.stepsPerEpoch);
  const events = {
    step: () => bar.advance(),
    epoch: async (state: TrainingState, record: EpochRecord, improved: boolean) => {
      await saveCheckpoint(run, await snapshot(run, loop, state));
      options.reporter.line(epochText(record, settings.epochs, improved));
    },
  };
  try {
    return await loop.run(start, events, options.signal);
  } finally {
    bar.stop();
  }
}

/** Everything a run needs to go on from here, read back from the device; throws if a number of it is not finite. */
async function snapshot(run: Run, loop: TrainingLoop, state: TrainingState): Promise<Checkpoint> {
  const { settings, weights, last } = run;
  const parameters = await toHost(loop.learner.parameters());
  const optimizer = await toHost(loop.optimizer?.state() ?? new Map());
  checkState(parameters, optimizer, `in epoch ${state.epoch}`);
  return {
    ...{ settings, state, parameters, optimizer },
    weightsId: weights.id,
    words: wordsOf(run),
    data: identified(run),
    ...(settings.finalModel === 'best_val' && last ? { best: bestOf(last, state) } : {}),
    constants: new Map(),
  };
}

/** The best epoch's parameters, unless that epoch is the one that is being saved, whose parameters they are. */
function bestOf(last: Checkpoint, { best, epoch }: TrainingState): Checkpoint['parameters'] {
  if (!best || best.epoch === epoch) return new Map();
  return best.epoch === last.state.epoch ? last.parameters : last.best!;
}

function reportUnreadable(unreadable: ReadonlyMap<number, UnreadableImage>, reporter: Reporter): void {
  if (unreadable.size === 0) return;
  reporter.line(`skipped    ${unreadable.size} unreadable image${unreadable.size === 1 ? '' : 's'}:`);
  for (const { error } of unreadable.values()) reporter.line(`           ${error}`);
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
  if (typeof accuracy?.test === 'number') parts.push(`accuracy ${(100 * accuracy.test).toFixed(1)}%`);
  return parts.join('  ');
}
