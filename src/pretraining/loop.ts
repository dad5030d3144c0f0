import { AdamW } from '../autograd/optimizers.ts';
import { UserError } from '../common/errors.ts';
import { trainingBatches } from '../data/datasets/batches.ts';
import { ImageLoader } from '../data/images/loader.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { CapturedStep } from '../training/captured-step.ts';
import { checkFinite } from '../training/finite.ts';
import { warmupCosine } from '../training/lr-schedule.ts';
import type { DeviceState, RunState } from '../training/run-kind.ts';
import { RunningSum } from '../training/running-sum.ts';
import type { PretrainingModel } from './model.ts';
import type { LossWeights } from './objective.ts';
import type { PretrainingSettings } from './settings.ts';
import { pretrainingGradients, pretrainingStep } from './step.ts';
import { type PretrainingData, StepBatch } from './step-batch.ts';
import type { View } from './views.ts';

/** One line of metrics.jsonl: means over the steps since the line before. */
export interface StepRecord {
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  readonly contrastive: number;
  readonly distillation: number | null;
  readonly quality: number | null;
  readonly imagesPerSecond: number;
}

/** Where a run stands between two steps. */
export interface PretrainingState extends RunState {
  readonly step: number;
  readonly records: readonly StepRecord[];
}

export interface PretrainingEvents {
  step?(): void;
  /** A record is due, and with it a checkpoint. */
  record?(state: PretrainingState, record: StepRecord): Promise<void> | void;
}

const lossNames = [
  'contrastive',
  'distillation',
  'quality',
] as const satisfies readonly (keyof LossWeights)[];

/** CLIP's (Radford et al., arXiv 2103.00020, table 19, vision transformers). */
const betas = [0.9, 0.98] as const;
const eps = 1e-6;

type BatchSettings = Pick<PretrainingSettings, 'batchSize' | 'chunkSize' | 'epochs'>;

/** Steps of a whole run. */
export const stepCount = (views: number, { batchSize, epochs }: BatchSettings): number =>
  epochs * Math.floor(views / batchSize);

/** Refuses batches that cannot be cut into chunks, or that the views do not fill. */
export function checkBatches(views: number, { batchSize, chunkSize }: BatchSettings): void {
  if (chunkSize < 1 || batchSize % Math.min(chunkSize, batchSize) !== 0)
    throw new UserError(
      `--batch-size ${batchSize} is not a multiple of --chunk-size ${chunkSize}`,
      'Choose a chunk size that divides the batch size.',
    );
  if (views < batchSize)
    throw new UserError(
      `${views} views are fewer than one batch of ${batchSize}`,
      'Lower --batch-size or raise --views.',
    );
}

/** Contrastive pre-training over seeded epochs of views. A step is captured once and replayed; its batch and rate are data in buffers. */
export class PretrainingLoop {
  readonly gpu: Gpu;
  readonly model: PretrainingModel;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  readonly #optimizers: readonly AdamW[];
  readonly #settings: PretrainingSettings;
  readonly #data: PretrainingData;
  readonly #batch: StepBatch;
  readonly #sums: Record<keyof LossWeights, RunningSum>;
  readonly #step: CapturedStep;

  constructor(gpu: Gpu, model: PretrainingModel, data: PretrainingData, settings: PretrainingSettings) {
    checkBatches(data.views.length, settings);
    const { batchSize, lr, weightDecay } = settings;
    this.gpu = gpu;
    this.model = model;
    this.#data = data;
    this.#settings = settings;
    this.stepsPerEpoch = Math.floor(data.views.length / batchSize);
    this.steps = stepCount(data.views.length, settings);
    const all = model.parameters();
    const matrices = all.filter(({ shape }) => shape.length > 1);
    const vectors = all.filter(({ shape }) => shape.length <= 1);
    this.#optimizers = [
      new AdamW(matrices, { lr, betas, eps, weightDecay }),
      new AdamW(vectors, { lr, betas, eps, weightDecay: 0 }),
    ];
    this.#batch = new StepBatch(gpu, data, settings);
    const sum = () => new RunningSum(gpu);
    this.#sums = { contrastive: sum(), distillation: sum(), quality: sum() };
    const { inputs } = this.#batch;
    this.#step = new CapturedStep(gpu, {
      warmUp: () => pretrainingGradients(model, inputs, settings),
      step: () =>
        pretrainingStep(model, inputs, settings, this.#optimizers, settings.clipNorm, (name, loss) =>
          this.#sums[name].add(loss),
        ),
      tune: settings.tune,
    });
  }

  /**
   * Trains from `start` (the beginning, or a resumed state) to the last step.
   *
   * @param signal ends it between two steps
   * @throws NonFiniteError if a loss is not finite
   */
  async run(
    start: PretrainingState,
    events: PretrainingEvents = {},
    signal?: AbortSignal,
  ): Promise<PretrainingState> {
    const { batchSize, checkpointEvery } = this.#settings;
    let state = start;
    if (state.step >= this.steps) return state;
    const schedule = () => this.#schedule(start.step);
    const loader = new ImageLoader({ ahead: 2 * batchSize });
    try {
      const images = loader.load(jobsOf(schedule(), this.#data.views));
      let began = performance.now();
      let since = state.step;
      for (const batch of schedule()) {
        signal?.throwIfAborted();
        const { step } = state;
        const lr = warmupCosine(step, this.steps, this.#settings);
        await this.#batch.load(batch, images);
        for (const optimizer of this.#optimizers) optimizer.setLearningRate(lr);
        await this.#step.run();
        await this.gpu.finish();
        state = { ...state, step: step + 1 };
        events.step?.();
        if (state.step % checkpointEvery !== 0 && state.step !== this.steps) continue;
        const means = await this.#means(state.step - since, state.step);
        const seconds = (performance.now() - began) / 1000;
        const record: StepRecord = {
          step: state.step,
          epoch: state.step / this.stepsPerEpoch,
          lr,
          ...means,
          imagesPerSecond: ((state.step - since) * batchSize) / seconds,
        };
        state = { ...state, records: [...state.records, record] };
        await events.record?.(state, record);
        since = state.step;
        began = performance.now();
      }
      return state;
    } finally {
      await loader.close();
    }
  }

  /** What a checkpoint holds. */
  tensors(): DeviceState {
    const optimizer = new Map(
      this.#optimizers.flatMap((optimizer, i) =>
        [...optimizer.state()].map(([name, tensor]) => [`${i}.${name}`, tensor] as const),
      ),
    );
    return { parameters: this.model.state(), optimizer };
  }

  dispose(): void {
    const optimizers = this.#optimizers;
    for (const held of [this.#step, ...optimizers, this.#batch, ...Object.values(this.#sums)]) held.dispose();
  }

  /** The batches from a step on, each a list of views. */
  *#schedule(from: number): Generator<Int32Array> {
    const { batchSize, seed, epochs } = this.#settings;
    const views = Int32Array.from(this.#data.views.keys());
    for (let epoch = Math.floor(from / this.stepsPerEpoch); epoch < epochs; epoch++) {
      const skip = Math.max(0, from - epoch * this.stepsPerEpoch);
      yield* trainingBatches(views, batchSize, seed, epoch).slice(skip);
    }
  }

  /** Mean losses since they were last asked for; null for those that are not in use. */
  async #means(steps: number, upTo: number): Promise<Pick<StepRecord, (typeof lossNames)[number]>> {
    const { targets } = this.#batch.inputs;
    const when = steps === 1 ? `in step ${upTo}` : `in steps ${upTo - steps + 1} to ${upTo}`;
    const means = { contrastive: 0, distillation: null as number | null, quality: null as number | null };
    for (const name of lossNames) {
      const mean = (await this.#sums[name].take()) / steps;
      checkFinite(mean, `the ${name} loss`, when);
      if (name === 'contrastive' || (name === 'distillation' ? targets.teacher : targets.quality))
        means[name] = mean;
    }
    return means;
  }
}

function* jobsOf(schedule: Iterable<Int32Array>, views: readonly View[]) {
  for (const batch of schedule) for (const view of batch) yield views[view]!.job;
}
