import { scope } from '../autograd/scope.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Recording } from '../kernels/device/recording.ts';
import { type TuneChoice, tuneAs } from '../kernels/device/tuning.ts';

export interface StepOptions {
  /** As much of the step as changes nothing, so that every kernel is compiled and every shape is known before one counts. */
  readonly warmUp: () => unknown;
  /** The step. What it reads comes from buffers that are written between two steps; what it returns is freed. */
  readonly step: () => unknown;
  readonly tune: TuneChoice;
  /** False runs every step instead of replaying the first: the same numbers at more host time, for comparison. */
  readonly capture?: boolean;
}

/**
 * A training step that runs once and is replayed from then on: its dispatches are recorded on the first run, and each later
 * one sends the same commands to the same buffers. Batch, learning rate and dropout seed change as data in those buffers.
 *
 * Variants of a kernel have to be chosen before the capture, which freezes the choice, and the step may not be run for
 * practice, since it changes the parameters. So the first run warms up on gradients that are thrown away.
 */
export class CapturedStep {
  readonly #gpu: Gpu;
  readonly #options: StepOptions;
  #warm = false;
  #recording: Recording | undefined;
  #disposed = false;

  constructor(gpu: Gpu, options: StepOptions) {
    this.#gpu = gpu;
    this.#options = options;
  }

  /** Compiles and tunes, once; run() does it where it was not done before. The inputs have to hold a batch. */
  async warmUp(): Promise<void> {
    this.#check();
    if (this.#warm) return;
    const { warmUp, tune } = this.#options;
    scope(() => void warmUp());
    await this.#gpu.finish();
    await tuneAs(this.#gpu, tune);
    this.#warm = true;
  }

  /** Submits the step on what its inputs hold now, and does not wait for it. */
  async run(): Promise<void> {
    await this.warmUp();
    this.#check();
    const { step, capture = true } = this.#options;
    const once = () => scope(() => void step());
    if (!capture) once();
    else if (this.#recording) this.#recording.replay();
    else this.#recording = this.#gpu.capture(once).recording;
    this.#gpu.flush();
  }

  /** Gives the step's own buffers back; it cannot run any more. */
  dispose(): void {
    this.#disposed = true;
    this.#recording?.dispose();
  }

  #check(): void {
    if (this.#disposed) throw new Error('this step is disposed');
  }
}
