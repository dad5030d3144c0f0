/** What {@link StepWindow} needs of a device: a mark behind what was submitted so far. */
export interface Marking {
  mark(): { wait(): Promise<void> };
}

/**
 * How far a loop runs ahead of the device. It lets at most `depth` steps be in the device's queue, and once there are as many waits
 * for the older half of them only: so the device never runs dry, as it would where the loop waits for all.
 */
export class StepWindow {
  readonly #gpu: Marking;
  readonly #stride: number;
  readonly #marks: { wait(): Promise<void> }[] = [];
  #steps = 0;

  /** @param depth an even number of steps */
  constructor(gpu: Marking, depth: number) {
    this.#gpu = gpu;
    this.#stride = depth / 2;
  }

  /** After each step is submitted: returns once there is room for another. Throws what the steps waited for met. */
  async admit(): Promise<void> {
    if (++this.#steps % this.#stride > 0) return;
    this.#marks.push(this.#gpu.mark());
    if (this.#marks.length === 2) await this.#marks.shift()!.wait();
  }
}
