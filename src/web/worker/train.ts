import { UserError } from '../../common/errors.ts';
import { Resources } from '../../common/resources.ts';
import type { TensorFile } from '../../data/formats/tensor.ts';
import { StoredFeatures } from '../../features/feature-source.ts';
import type { Gpu } from '../../kernels/device/gpu.ts';
import { Clip } from '../../model/clip.ts';
import type { ClipWeights } from '../../model/weights/weights.ts';
import { toHost } from '../../training/checkpoint-format.ts';
import { createLearner } from '../../training/create-learner.ts';
import { TrainingLoop } from '../../training/loop.ts';
import { applySettings, clipOptions, defaultSettings, type Settings } from '../../training/settings.ts';
import { TargetScaling } from '../../training/target-scaling.ts';
import type { TrainingData } from '../../training/training-data.ts';
import type { Checkpoint } from '../../training/training-format.ts';
import type { TrainingState } from '../../training/training-state.ts';
import { wordsOf } from '../../training/words.ts';
import type { EpochEvent } from '../protocol.ts';
import type { FixedVocabulary } from './vocabulary.ts';

/** Images with features and ratings, and which of them are not learned from. */
export interface RatedFeatures {
  readonly width: number;
  readonly rows: ReadonlyMap<number, Float32Array>;
  readonly mos: Float32Array;
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/** The file that `npm run web` lays beside the page: `features` [n, width], `mos` [n], `test` [n], 1 where an image is held out. */
export async function readRated(file: TensorFile): Promise<RatedFeatures> {
  const [count, width] = file.tensors.get('features')!.shape as [number, number];
  const features = await file.read('features');
  const held = await file.read('test');
  const all = Int32Array.from({ length: count }, (_, i) => i);
  return {
    width,
    rows: new Map(Array.from(all, (i) => [i, features.subarray(i * width, (i + 1) * width)])),
    mos: await file.read('mos'),
    train: all.filter((i) => held[i] === 0),
    test: all.filter((i) => held[i] !== 0),
  };
}

/** The settings of a training in a page: those of configs/small_clip.yaml, and what the user chose. */
export function pageSettings(chosen: Partial<Settings>): Settings {
  const base = { weights: 'embedded', data: 'agiqa-3k', augment: 'none', views: 1, optimizer: 'adamw' };
  return applySettings(defaultSettings(), { ...base, ...chosen }, 'the settings');
}

export interface TrainOptions {
  readonly weights: ClipWeights;
  readonly weightsId: string;
  /** Null for a trainer without prompts. */
  readonly vocabulary: FixedVocabulary | null;
  readonly rated: RatedFeatures;
  readonly settings: Settings;
  readonly onEpoch?: (event: EpochEvent) => void;
  /** Samples that the trained model is asked for. */
  readonly predict?: Int32Array;
  readonly signal?: AbortSignal;
}

/** What a training leaves. */
export interface Trained {
  readonly model: Checkpoint;
  /** Of {@link TrainOptions.predict}. */
  readonly predictions: Float32Array;
}

/** A training that stands at its beginning. */
export interface OpenedTraining {
  readonly clip: Clip;
  readonly data: TrainingData;
  readonly loop: TrainingLoop;
}

/** @param held what it opens, for the caller to release */
export async function openTraining(
  gpu: Gpu,
  { weights, vocabulary, rated, settings }: TrainOptions,
  held: Resources,
): Promise<OpenedTraining> {
  if (rated.train.length === 0) throw new UserError('there are no images to train on');
  const clip = held.hold(await Clip.from(gpu, weights, { ...clipOptions(settings), vision: false }));
  const features = new StoredFeatures(rated.width, 1, rated.rows);
  const learned = Array.from(rated.train, (sample) => rated.mos[sample]!);
  const range = [Math.min(...learned), Math.max(...learned)] as const;
  const learner = held.hold(
    createLearner(clip, vocabulary, rated.width, settings, { centers: new Float32Array(6), range }, () =>
      features.statistics(rated.train),
    ),
  );
  const data: TrainingData = {
    train: rated.train,
    val: new Int32Array(),
    test: rated.test,
    mos: rated.mos,
    // Read by trainers of classes alone, which no page has.
    classes: new Uint32Array(rated.mos.length),
    trainFeatures: features,
    testFeatures: features,
    target: settings.mosScaling === 'standard' ? new TargetScaling(learned) : undefined,
  };
  return { clip, data, loop: held.hold(new TrainingLoop(gpu, learner, data, settings)) };
}

/** Trains from the beginning, and gives the model as a run's folder would have it. */
export async function trainInPage(gpu: Gpu, options: TrainOptions): Promise<Trained> {
  const { settings, onEpoch, signal } = options;
  const held = new Resources();
  try {
    const { loop, data } = await openTraining(gpu, options, held);
    const { learner } = loop;
    const state = await runEpochs(loop, data, onEpoch, signal);
    const { predict } = options;
    const predictions = predict ? await loop.evaluator.predict(predict) : new Float32Array();
    const constants = await learner.constants();
    const model: Checkpoint = {
      settings,
      state,
      weightsId: options.weightsId,
      words: wordsOf(settings),
      parameters: await toHost(learner.parameters()),
      optimizer: new Map(),
      constants: data.target ? data.target.fold(constants) : constants,
    };
    return { model, predictions };
  } finally {
    await held.release();
  }
}

async function runEpochs(
  loop: TrainingLoop,
  data: TrainingData,
  onEpoch: ((event: EpochEvent) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<TrainingState> {
  const began = performance.now();
  const start: TrainingState = { epoch: 0, records: [], best: null };
  return loop.run(
    start,
    {
      async epoch(_, { epoch, loss, test }) {
        const predictions =
          data.test.length > 0 ? await loop.evaluator.predict(data.test) : new Float32Array();
        onEpoch?.({
          epoch,
          loss,
          srcc: test?.srcc ?? null,
          plcc: test?.plcc ?? null,
          predictions,
          milliseconds: performance.now() - began,
        });
      },
    },
    signal,
  );
}
