import { figureText } from '../common/figure-text.ts';
import { writeOutput } from '../common/files.ts';
import { packageVersion } from '../common/package.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { decoderId } from '../data/images/decode.ts';
import { type Evaluation, evaluate, type Metrics } from '../data/metrics/evaluation.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { toHost } from './checkpoint-format.ts';
import type { Doubt } from './cross-fit.ts';
import { checkFinite } from './finite.ts';
import type { Learner } from './learner.ts';
import type { TrainingLoop } from './loop.ts';
import type { Run } from './open-run.ts';
import type { Plan } from './run-kind.ts';
import type { Settings } from './settings.ts';
import type { TrainingData } from './training-data.ts';
import type { TrainingState } from './training-state.ts';

/** What a finished run leaves, also written as summary.json. */
export interface RunSummary {
  readonly folder: string;
  readonly settings: Settings;
  readonly adapter: string;
  /** Which score was learned, and its smallest and largest value: predictions are in this unit. */
  readonly mos: { readonly target: string; readonly range: readonly [number, number] };
  /** What the groups of `test` are, if not generators. */
  readonly grouping?: string;
  readonly images: { readonly train: number; readonly val: number; readonly test: number };
  readonly unreadable: readonly string[];
  readonly missing: readonly string[];
  readonly epochs: number;
  /** Which epoch's parameters were kept. */
  readonly finalEpoch: number;
  /** After which epochs the run was given more, and how many in all then; absent of a run that was not extended. */
  readonly extended?: Plan;
  readonly before: Metrics | null;
  readonly test: Evaluation | null;
  /** Share of test images put into their quality class, by a model that classifies. */
  readonly accuracy: number | null;
  /** Of images that belong to classes instead of having scores: test images of each class, and the share of them that was classified right. */
  readonly classes?: readonly {
    readonly name: string;
    readonly n: number;
    readonly accuracy: number | null;
  }[];
  /** Of a model that can be read in several ways: the figures of each. */
  readonly readings?: Readonly<Record<string, Metrics | null>>;
  /** How well what the model says of its own doubt holds, on prompts that the heads asked had not seen. */
  readonly doubt?: Doubt;
  readonly seconds: number;
  /** When it ended, ISO 8601 in UTC; absent in files of earlier versions, as is the next. */
  readonly finished?: string;
  /** Of this package, Node and sharp. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** What a trained model comes to, on the host. */
export interface RunOutcome {
  readonly state: TrainingState;
  readonly finalEpoch: number;
  readonly parameters: ReadonlyMap<string, HostTensor>;
  readonly constants: ReadonlyMap<string, HostTensor>;
  readonly data: TrainingData;
  /** Of the test part: scores, or numbers of classes. */
  readonly predictions: Float32Array | Uint32Array;
  readonly accuracy: number | null;
  readonly readings: Readonly<Record<string, Metrics | null>> | undefined;
  readonly doubt?: Doubt | undefined;
}

/**
 * Takes the parameters that are to be kept, and computes what is left of the model and what it predicts.
 *
 * @throws NonFiniteError if any of it is not finite
 */
export async function runOutcome(
  run: Run,
  loop: TrainingLoop,
  data: TrainingData,
  state: TrainingState,
): Promise<RunOutcome> {
  const { learner } = loop;
  const { finalModel } = run.settings;
  const finalEpoch = finalModel === 'best_val' && state.best ? state.best.epoch : state.epoch;
  if (finalEpoch !== state.epoch) await run.saved.restoreBest(learner.parameters());
  const learned = await learner.constants();
  const outcome = {
    state,
    finalEpoch,
    parameters: await toHost(learner.parameters()),
    constants: data.target?.fold(learned) ?? learned,
    data,
    predictions: await (data.classNames
      ? loop.evaluator.classify(data.test)
      : loop.evaluator.predict(data.test)),
    accuracy: await loop.evaluator.accuracy(data.test),
    readings:
      learner.readings && !data.classNames ? await readingsOf(loop, learner.readings, data) : undefined,
  };
  for (const part of [outcome.parameters, outcome.constants])
    for (const [name, tensor] of part) checkFinite(tensor.data, name, 'in the trained model');
  return outcome;
}

async function readingsOf(
  loop: TrainingLoop,
  readings: NonNullable<Learner['readings']>,
  data: TrainingData,
): Promise<Record<string, Metrics | null>> {
  const found: Record<string, Metrics | null> = {};
  for (const [name, read] of readings) found[name] = await loop.evaluator.score(data.test, read);
  return found;
}

/** Writes model.safetensors, predictions.csv and, last, summary.json. */
export async function writeResults(
  run: Run,
  outcome: RunOutcome,
  measured: { readonly adapter: string; readonly seconds: number },
): Promise<RunSummary> {
  const { saved, settings, dataset, weights, features } = run;
  const { folder } = saved;
  const { state, finalEpoch, parameters, constants, data, predictions, accuracy, readings } = outcome;
  await writeCheckpoint(folder.file('model.safetensors'), {
    settings,
    state,
    parameters,
    constants,
    weightsId: weights.id,
    words: run.words,
    data: run.data,
    optimizer: new Map(),
  });
  const samples = Array.from(data.test, (sample) => dataset.samples[sample]!);
  if (samples.length > 0) {
    const { classNames } = dataset;
    const shown = (value: number) => classNames?.[value] ?? value;
    const rows = samples.map(({ name, mos }, i) => [name, shown(mos), shown(predictions[i]!)]);
    const header = ['name', classNames ? 'class' : 'mos', 'prediction'];
    await writeOutput(folder.file('predictions.csv'), csvText([header, ...rows]));
  }
  const summary: RunSummary = {
    folder: folder.path,
    settings,
    adapter: measured.adapter,
    mos: { target: dataset.target, range: dataset.range },
    ...(dataset.grouping && { grouping: dataset.grouping }),
    images: { train: data.train.length, val: data.val.length, test: data.test.length },
    unreadable: [...features!.unreadable.values()].map(({ path }) => path),
    missing: dataset.missing,
    epochs: state.epoch,
    finalEpoch,
    ...saved.extended,
    before: state.before ?? null,
    test: dataset.classNames ? null : testEvaluation(samples, predictions),
    accuracy,
    ...(dataset.classNames && { classes: classFigures(dataset.classNames, samples, predictions) }),
    ...(readings ? { readings } : {}),
    ...(outcome.doubt ? { doubt: outcome.doubt } : {}),
    seconds: measured.seconds,
    finished: new Date().toISOString(),
    versions: { 'clip-agiqa-webgpu': packageVersion(), node: process.versions.node, decoder: decoderId },
  };
  await folder.summary(summary);
  return summary;
}

function classFigures(
  classNames: readonly string[],
  samples: Run['dataset']['samples'],
  predictions: RunOutcome['predictions'],
): NonNullable<RunSummary['classes']> {
  return classNames.map((name, number) => {
    const own = [...samples.keys()].filter((i) => samples[i]!.mos === number);
    const right = own.filter((i) => predictions[i] === number).length;
    return { name, n: own.length, accuracy: own.length > 0 ? right / own.length : null };
  });
}

function testEvaluation(
  samples: Run['dataset']['samples'],
  predictions: RunOutcome['predictions'],
): Evaluation | null {
  if (samples.length === 0) return null;
  return evaluate(
    [...predictions],
    samples.map(({ mos }) => mos),
    { groups: samples.map(({ generator }) => generator ?? ''), bootstrap: 1000 },
  );
}

/** A share as a text. */
export const percent = (share: number | null): string =>
  share === null ? 'no images' : `${(100 * share).toFixed(1)}%`;

/** The usual figures on one line. */
export function metricsText(metrics: Metrics | null): string {
  if (!metrics) return 'no images';
  const { srcc, plcc, krcc, rmse } = metrics;
  return `SRCC ${figureText(srcc)}  PLCC ${figureText(plcc)}  KRCC ${figureText(krcc)}  RMSE ${figureText(rmse)}`;
}
