import { join } from 'node:path';
import { stringify as toYaml } from 'yaml';
import { UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import { writeOutput } from '../common/files.ts';
import { csvText } from '../data/csv-writer.ts';
import { type Dataset, openDataset, writeSplitCsv } from '../data/datasets/index.ts';
import { type Evaluation, evaluate, type Metrics } from '../data/evaluation.ts';
import { openFeatureCache } from '../data/feature-cache.ts';
import { classOf, trainTestSplit } from '../data/splits.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../kernels/gpu.ts';
import { qualityWords } from '../model/agiqa.ts';
import { Clip } from '../model/clip.ts';
import { weightsPath } from '../model/embedded.ts';
import { weightsId } from '../model/weights-id.ts';
import { type Checkpoint, readCheckpoint, restore, toHost, writeCheckpoint } from './checkpoint.ts';
import { mosScale } from './class-centres.ts';
import { checkLearner, createLearner, usesContext, usesHead, usesText } from './create-learner.ts';
import { encodeDataset } from './dataset-features.ts';
import { pictureEncoder } from './encoders.ts';
import { StoredFeatures } from './feature-source.ts';
import { type EpochRecord, type TrainingData, TrainingLoop, type TrainingState } from './loop.ts';
import { PictureFeatures, type UnreadablePicture } from './picture-features.ts';
import type { Reporter } from './reporter.ts';
import { clipOptions, datasetOptions, type Settings } from './settings.ts';
import { TargetScaling } from './target-scaling.ts';
import { TensorBoardLog } from './tensorboard.ts';

/** What a finished run leaves, also written as summary.json. */
export interface RunSummary {
  readonly folder: string;
  readonly settings: Settings;
  readonly adapter: string;
  /** Which score was learned, and its smallest and largest value: predictions are in this unit. */
  readonly mos: { readonly target: string; readonly range: readonly [number, number] };
  readonly pictures: { readonly train: number; readonly val: number; readonly test: number };
  readonly unreadable: readonly string[];
  readonly missing: readonly string[];
  readonly epochs: number;
  /** Which epoch's parameters were kept. */
  readonly finalEpoch: number;
  readonly before: Metrics | null;
  readonly test: Evaluation | null;
  /** Share of test pictures put into their quality class, by a model that classifies. */
  readonly accuracy: number | null;
  /** Of a model that can be read in several ways: the figures of each. */
  readonly readings?: Readonly<Record<string, Metrics | null>>;
  readonly seconds: number;
}

/** Default folder of a run's results, by everything that distinguishes runs people compare. */
export function runFolder(settings: Settings): string {
  const { out, data, target, trainer, nCtx, classSpecific, position, shots, seed } = settings;
  if (out !== '') return out;
  const few = shots > 0 ? `_${shots}shots` : '';
  const prompt = usesContext(trainer) ? `_nctx${nCtx}_csc${classSpecific}_ctp${position}` : '';
  return join('output', target ? `${data}-${target}` : data, `${trainer}${few}${prompt}`, `seed${seed}`);
}

/** Trains as `settings` say, and leaves checkpoints, metrics and predictions in the run's folder. */
export async function trainRun(
  gpu: Gpu,
  given: Settings,
  options: {
    readonly resume: boolean;
    readonly reporter: Reporter;
    /** Write TensorBoard's event file too. */
    readonly tensorboard?: boolean;
  },
): Promise<RunSummary> {
  const began = performance.now();
  const { reporter } = options;
  const learns = given.trainer !== 'zero-shot';
  const settings = learns ? given : { ...given, epochs: 0 };
  const folder = runFolder(settings);
  const file = (name: string) => join(folder, name);
  const weights = weightsPath(settings.weights);
  const dataset = await openDataset({ ...datasetOptions(settings), draw: { reporter } });
  const { target, range, samples } = dataset;
  reporter.line(`scores     ${target}, ${range.join(' to ')}, of ${samples.length} pictures`);
  const resumed = options.resume ? await readCheckpoint(file('checkpoint.safetensors')) : null;
  const id = await weightsId(weights);
  if (resumed && resumed.weightsId !== id)
    throw new UserError(
      `${folder} was trained on other weights than ${settings.weights}`,
      'Give the same --weights.',
    );
  // One tower after the other: the text tower's weights come once the image tower's, as a rule, have gone.
  const images = await Clip.load(gpu, weights, { ...clipOptions(settings), text: false });
  let clip = images;
  const tokenizer = usesText(settings.trainer) ? await Tokenizer.load() : null;
  checkLearner(images.config, tokenizer, settings);
  const encoder = pictureEncoder(images.vision, id, settings);
  // Crops drawn anew each step would fill it without ever being met again.
  const drawnAnew = settings.augment === 'crop' && settings.views === 0;
  const cache = await openFeatureCache(drawnAnew ? 'none' : settings.cache, {
    width: encoder.width,
    type: settings.cacheType,
  });
  const pictures = new PictureFeatures(gpu, images.vision, encoder, { batch: settings.encodeBatch, cache });
  try {
    const split = withValidation(dataset, settings);
    const centred = Int32Array.of(...split.val, ...split.test);
    const features = await encodeDataset(
      pictures,
      dataset,
      { trained: learns ? split.train : new Int32Array(), centred },
      settings,
      reporter,
    );
    const { encoded, cached } = pictures.counters;
    reporter.line(`features   ${encoded} encoded, ${cached} from the cache`);
    reportUnreadable(features.unreadable, reporter);
    if (features.train instanceof StoredFeatures) images.releaseVision();
    if (tokenizer) clip = await Clip.load(gpu, weights, { ...clipOptions(settings), vision: false });
    const readable = (part: Int32Array) => part.filter((sample) => !features.unreadable.has(sample));
    const train = readable(split.train);
    const mos = Float32Array.from(dataset.samples, (sample) => sample.mos);
    const classes = Uint32Array.from(dataset.samples, ({ mos: score }) => classOf(score, dataset.thresholds));
    const ofTrain = <T>(values: ArrayLike<T>) => Array.from(train, (sample) => values[sample]!);
    const standardised = settings.mosScaling === 'standard' && usesHead(settings.trainer);
    const data: TrainingData = {
      train,
      val: readable(split.val),
      test: readable(split.test),
      mos,
      classes,
      trainFeatures: features.train,
      testFeatures: features.test,
      target: standardised ? TargetScaling.of(ofTrain(mos)) : undefined,
    };
    const scale = mosScale(ofTrain(mos), ofTrain(classes), dataset.thresholds);
    const learner = createLearner(clip, tokenizer, encoder.width, settings, scale, () =>
      features.known.statistics(data.train),
    );
    const loop = new TrainingLoop(gpu, learner, data, settings);
    let state: TrainingState = { epoch: 0, records: [], best: null };
    if (resumed) {
      restore(learner.parameters(), resumed.parameters, folder);
      restore(loop.optimizer?.state() ?? new Map(), resumed.optimizer, folder);
      state = resumed.state;
      reporter.line(`resuming   after epoch ${state.epoch} of ${settings.epochs}`);
    }
    await writeOutput(file('config.yaml'), toYaml(settings));
    await writeSplitCsv(file('split.csv'), { ...dataset, split });
    const snapshot = async (at: TrainingState): Promise<Checkpoint> => ({
      settings,
      state: at,
      weightsId: id,
      words: usesText(settings.trainer) ? qualityWords : [],
      parameters: await toHost(learner.parameters()),
      optimizer: await toHost(loop.optimizer?.state() ?? new Map()),
      constants: new Map(),
    });
    const before = await loop.score(data.test);
    if (!resumed) reporter.line(`untrained  ${metricsText(before)}`);
    const tensorboard = options.tensorboard ? await TensorBoardLog.open(folder) : null;
    tensorboard?.write(state.records);
    state = await trainEpochs(loop, state, {
      settings,
      reporter,
      save: async (at, improved) => {
        const checkpoint = await snapshot(at);
        await writeCheckpoint(file('checkpoint.safetensors'), checkpoint);
        if (improved) await writeCheckpoint(file('best.safetensors'), checkpoint);
        await writeOutput(
          file('metrics.jsonl'),
          at.records.map((record) => `${JSON.stringify(record)}\n`).join(''),
        );
        tensorboard?.write(at.records);
      },
    });
    const finalEpoch = settings.finalModel === 'best_val' && state.best ? state.best.epoch : state.epoch;
    if (finalEpoch !== state.epoch)
      restore(learner.parameters(), (await readCheckpoint(file('best.safetensors'))).parameters, folder);
    const learned = await learner.constants();
    const constants = data.target?.fold(learned) ?? learned;
    await writeCheckpoint(file('model.safetensors'), {
      ...(await snapshot(state)),
      optimizer: new Map(),
      constants,
    });
    const test = await writePredictions(file('predictions.csv'), loop, dataset, data.test);
    const accuracy = await loop.accuracy(data.test);
    const readings: Record<string, Metrics | null> = {};
    for (const [name, read] of learner.readings ?? []) readings[name] = await loop.score(data.test, read);
    loop.dispose();
    learner.dispose();
    const summary: RunSummary = {
      folder,
      settings,
      adapter: gpu.adapter.name,
      mos: { target: dataset.target, range: dataset.range },
      pictures: { train: data.train.length, val: data.val.length, test: data.test.length },
      unreadable: [...features.unreadable.values()].map(({ path }) => path),
      missing: dataset.missing,
      epochs: state.epoch,
      finalEpoch,
      before,
      test,
      accuracy,
      ...(learner.readings ? { readings } : {}),
      seconds: (performance.now() - began) / 1000,
    };
    await writeOutput(file('summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
    return summary;
  } finally {
    await pictures.close();
    for (const towers of new Set([images, clip])) towers.dispose();
  }
}

async function trainEpochs(
  loop: TrainingLoop,
  state: TrainingState,
  options: {
    readonly settings: Settings;
    readonly reporter: Reporter;
    readonly save: (state: TrainingState, improved: boolean) => Promise<void>;
  },
): Promise<TrainingState> {
  const { settings, reporter, save } = options;
  const bar = reporter.bar('training', (settings.epochs - state.epoch) * loop.stepsPerEpoch);
  try {
    return await loop.run(state, {
      step: () => bar.advance(),
      epoch: async (at, record, improved) => {
        await save(at, improved);
        reporter.line(epochText(record, settings.epochs, improved));
      },
    });
  } finally {
    bar.stop();
  }
}

/** The split, with a validation part cut from the training part where best_val needs one and the dataset has none. */
function withValidation(dataset: Dataset, { finalModel, valSize, splitSeed }: Settings): Dataset['split'] {
  const { split } = dataset;
  if (finalModel !== 'best_val' || split.val.length > 0) return split;
  const { train, test } = trainTestSplit(split.train.length, valSize, splitSeed);
  const pick = (part: Int32Array) => part.map((at) => split.train[at]!);
  return { train: pick(train), val: pick(test), test: split.test };
}

async function writePredictions(
  path: string,
  loop: TrainingLoop,
  dataset: Dataset,
  samples: Int32Array,
): Promise<Evaluation | null> {
  if (samples.length === 0) return null;
  const predictions = await loop.predict(samples);
  const chosen = Array.from(samples, (sample) => dataset.samples[sample]!);
  const rows = chosen.map(({ name, mos }, i) => [name, mos, predictions[i]!]);
  await writeOutput(path, csvText([['name', 'mos', 'prediction'], ...rows]));
  return evaluate(
    [...predictions],
    chosen.map(({ mos }) => mos),
    { groups: chosen.map(({ generator }) => generator ?? ''), bootstrap: 1000 },
  );
}

function reportUnreadable(unreadable: ReadonlyMap<number, UnreadablePicture>, reporter: Reporter): void {
  if (unreadable.size === 0) return;
  reporter.line(`skipped    ${unreadable.size} unreadable picture${unreadable.size === 1 ? '' : 's'}:`);
  for (const { error } of unreadable.values()) reporter.line(`           ${error}`);
}

/** The usual three figures on one line. */
export function metricsText(metrics: Metrics | null): string {
  if (!metrics) return 'no pictures';
  const { srcc, plcc, krcc, rmse } = metrics;
  return `SRCC ${figureText(srcc)}  PLCC ${figureText(plcc)}  KRCC ${figureText(krcc)}  RMSE ${figureText(rmse)}`;
}

function epochText(
  { epoch, lr, loss, val, test, accuracy }: EpochRecord,
  epochs: number,
  improved: boolean,
): string {
  const number = String(epoch).padStart(String(epochs).length);
  const parts = [`epoch ${number}/${epochs}  lr ${lr.toExponential(2)}  loss ${loss.toFixed(5)}`];
  if (val) parts.push(`val SRCC ${val.srcc.toFixed(4)}${improved ? ' (best)' : ''}`);
  if (test) parts.push(`test SRCC ${test.srcc.toFixed(4)} PLCC ${test.plcc.toFixed(4)}`);
  if (typeof accuracy?.test === 'number') parts.push(`accuracy ${(100 * accuracy.test).toFixed(1)} %`);
  return parts.join('  ');
}
