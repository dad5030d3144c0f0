import { named } from '../autograd/names.ts';
import { AdamW, Sgd } from '../autograd/optimizers.ts';
import { keep, scope } from '../autograd/scope.ts';
import { type ValueAndGradients, valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { trainingBatches } from '../data/datasets/batches.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { CapturedStep } from './captured-step.ts';
import { Evaluator } from './evaluator.ts';
import { checkFinite, NonFiniteError } from './finite.ts';
import type { Batch, Learner } from './learner.ts';
import { learningRates } from './lr-schedule.ts';
import type { DeviceState } from './run-kind.ts';
import { RunningSum } from './running-sum.ts';
import type { Settings } from './settings.ts';
import { StepWindow } from './step-window.ts';
import type { TrainingData } from './training-data.ts';
import type { BestEpoch, EpochRecord, TrainingState } from './training-state.ts';

export interface LoopEvents {
  step?(done: number, total: number, epoch: number): void;
  /** After each epoch: save a checkpoint. `improved`: it is the best so far. */
  epoch?(state: TrainingState, record: EpochRecord, improved: boolean): Promise<void> | void;
}

export interface LoopOptions {
  /** False runs every step instead of replaying the first: the same numbers at more host time, for comparison. */
  readonly capture?: boolean;
}

/** A step's parts, both synchronous, and the tensors it reads a batch from. */
export interface StepParts {
  gradients(): ValueAndGradients;
  learn(): void;
  readonly inputs: ReadonlyMap<string, Tensor>;
}

/** How many steps may wait in the GPU's queue before the loop waits for the first of them. */
const queueDepth = 8;

/**
 * The training loop all trainers share: seeded epochs of SGD or AdamW. A step is captured once and replayed; the batch, the
 * learning rate and the dropout seed are data in buffers.
 */
export class TrainingLoop {
  readonly gpu: Gpu;
  readonly learner: Learner;
  readonly evaluator: Evaluator;
  /** Null where nothing learns. */
  readonly optimizer: Sgd | AdamW | null;
  readonly #settings: Settings;
  readonly #data: TrainingData;
  readonly #batch: Batch;
  readonly #dropoutSeed: Tensor;
  readonly #losses: RunningSum;
  readonly #batchSize: number;
  readonly #step: CapturedStep;
  readonly #window: StepWindow;

  constructor(
    gpu: Gpu,
    learner: Learner,
    data: TrainingData,
    settings: Settings,
    { capture = true }: LoopOptions = {},
  ) {
    this.gpu = gpu;
    this.learner = learner;
    this.evaluator = new Evaluator(gpu, learner, data);
    this.#data = data;
    this.#settings = settings;
    this.#batchSize = Math.min(settings.batchSize, data.train.length);
    if (this.#batchSize === 0)
      throw new UserError('there are no images to train on', 'Check --root, --limit and --shots.');
    this.optimizer = createOptimizer([...learner.parameters().values()], settings);
    const persistent = (shape: number[], type: 'f32' | 'u32') => keep(Tensor.empty(gpu, shape, type));
    const { degradedFeatures } = data;
    this.#batch = {
      ...(degradedFeatures && { degraded: persistent([this.#batchSize, degradedFeatures.width], 'f32') }),
      features: persistent([this.#batchSize, data.trainFeatures.width], 'f32'),
      mos: persistent([this.#batchSize], 'f32'),
      classes: persistent([this.#batchSize], 'u32'),
    };
    this.#dropoutSeed = persistent([2], 'u32');
    this.#losses = new RunningSum(gpu);
    this.#window = new StepWindow(gpu, queueDepth);
    this.#step = new CapturedStep(gpu, {
      warmUp: () => this.#gradients(),
      step: () => this.#learn(),
      tune: settings.tune,
      capture,
    });
  }

  get stepsPerEpoch(): number {
    return Math.floor(this.#data.train.length / this.#batchSize);
  }

  /**
   * Trains from `start` (the beginning, or a resumed state) to the last epoch.
   *
   * @param signal ends it between two steps
   * @throws NonFiniteError if the loss or a prediction is not finite
   */
  async run(start: TrainingState, events: LoopEvents = {}, signal?: AbortSignal): Promise<TrainingState> {
    const { epochs } = this.#settings;
    const rates = learningRates(this.#settings);
    let state = start;
    if (state.epoch >= epochs) return state;
    await this.#warmUp();
    for (let epoch = state.epoch; epoch < epochs; epoch++) {
      const began = performance.now();
      const loss = await this.#epoch(epoch, rates[epoch]!, events, signal);
      checkFinite(loss, 'the training loss', `in epoch ${epoch + 1}`);
      const seconds = (performance.now() - began) / 1000;
      const { evaluator, learner } = this;
      const val = await evaluator.score(this.#data.val);
      const test = await evaluator.score(this.#data.test);
      const accuracy = learner.classify && {
        val: await evaluator.accuracy(this.#data.val),
        test: await evaluator.accuracy(this.#data.test),
      };
      const record: EpochRecord = {
        epoch: epoch + 1,
        lr: rates[epoch]!,
        loss,
        seconds,
        val,
        test,
        ...(accuracy && { accuracy }),
      };
      const best = this.#data.classNames
        ? better(state.best, epoch + 1, 'accuracy', accuracy?.val)
        : better(state.best, epoch + 1, 'srcc', val?.srcc);
      const improved = best !== state.best;
      state = {
        ...state,
        epoch: epoch + 1,
        records: [...state.records, record],
        best,
      };
      await events.epoch?.(state, record, improved);
    }
    return state;
  }

  /**
   * Compiles and tunes on the first batch of an epoch, which is then in place, and hands out the parts of its step, to be looked at.
   * `learn` changes the parameters, `gradients` nothing.
   */
  async firstStep(epoch = 0): Promise<StepParts> {
    const { epochs, seed } = this.#settings;
    const at = Math.min(epoch, Math.max(0, epochs - 1));
    this.optimizer?.setLearningRate(learningRates(this.#settings)[at]!);
    const [samples] = trainingBatches(this.#data.train, this.#batchSize, seed, at);
    await this.#data.trainFeatures.beginEpoch?.(samples!, at);
    await this.#load(samples!, at, at * this.stepsPerEpoch);
    await this.#step.warmUp();
    return {
      gradients: () => this.#gradients(),
      learn: () => scope(() => this.#learn()),
      inputs: new Map([
        ...Object.entries(this.#batch).map(([name, tensor]) => [`batch.${name}`, tensor] as const),
        ['dropout seed', this.#dropoutSeed],
      ]),
    };
  }

  /** Meets every shape that the run will, of a step and of predictions, and changes nothing. */
  async rehearse(): Promise<void> {
    if (this.#settings.epochs > 0) await this.firstStep();
    for (const part of [this.#data.val, this.#data.test])
      try {
        await this.evaluator.score(part);
        await this.evaluator.accuracy(part);
      } catch (error) {
        // The run itself says what that means.
        if (!(error instanceof NonFiniteError)) throw error;
      }
  }

  /** What a checkpoint holds. */
  tensors(): DeviceState {
    return { parameters: this.learner.parameters(), optimizer: this.optimizer?.state() ?? new Map() };
  }

  dispose(): void {
    this.#step.dispose();
    this.optimizer?.dispose();
    for (const held of [...Object.values(this.#batch), this.#dropoutSeed, this.#losses]) held.dispose();
  }

  /** Before the first epoch, so that its seconds are those of its steps. */
  async #warmUp(): Promise<void> {
    const first = this.#data.train.slice(0, this.#batchSize);
    await this.#data.trainFeatures.beginEpoch?.(first, 0);
    await this.#load(first, 0, 0);
    await this.#step.warmUp();
  }

  async #epoch(
    epoch: number,
    lr: number,
    events: LoopEvents,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    this.optimizer?.setLearningRate(lr);
    const steps = this.stepsPerEpoch;
    const batches = trainingBatches(this.#data.train, this.#batchSize, this.#settings.seed, epoch);
    await this.#data.trainFeatures.beginEpoch?.(
      Int32Array.from(batches.flatMap((batch) => [...batch])),
      epoch,
    );
    let step = 0;
    for (const samples of batches) {
      signal?.throwIfAborted();
      await this.#load(samples, epoch, epoch * steps + step);
      await this.#step.run();
      step++;
      await this.#window.admit();
      events.step?.(step, steps, epoch);
    }
    return (await this.#losses.take()) / step;
  }

  async #load(samples: Int32Array, epoch: number, step: number): Promise<void> {
    const { mos, classes, target } = this.#data;
    const learned = (sample: number) => (target ? target.standardize(mos[sample]!) : mos[sample]!);
    await this.#data.trainFeatures.fill(samples, epoch, this.#batch.features);
    if (this.#batch.degraded) await this.#data.degradedFeatures!.fill(samples, epoch, this.#batch.degraded);
    this.#batch.mos.write(Float32Array.from(samples, learned));
    this.#batch.classes.write(Uint32Array.from(samples, (sample) => classes[sample]!));
    this.#dropoutSeed.write(Uint32Array.of(this.#settings.seed, step));
  }

  #gradients() {
    const { dropout: p, inputDropout } = this.#settings;
    const dropout = { p, inputP: inputDropout || p, seed: this.#dropoutSeed };
    return valueAndGradients(
      () => this.learner.loss(this.#batch, dropout),
      [...this.learner.parameters().values()],
    );
  }

  #learn(): void {
    const { value, gradients } = this.#gradients();
    named('optimizer', () => this.optimizer?.step(gradients));
    named('loss', () => this.#losses.add(value));
  }
}

function createOptimizer(
  parameters: readonly Tensor[],
  { optimizer, lr, momentum, weightDecay }: Settings,
): Sgd | AdamW | null {
  if (parameters.length === 0) return null;
  return optimizer === 'adamw'
    ? new AdamW(parameters, { lr, weightDecay })
    : new Sgd(parameters, { lr, momentum, weightDecay });
}

/** This epoch, if its figure is better than that of the best so far; else the best so far. */
function better(
  best: BestEpoch | null,
  epoch: number,
  name: 'srcc' | 'accuracy',
  figure: number | null | undefined,
): BestEpoch | null {
  if (typeof figure !== 'number' || !Number.isFinite(figure)) return best;
  return figure > (best?.[name] ?? -Infinity) ? { epoch, [name]: figure } : best;
}
