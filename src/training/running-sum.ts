import { keep } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { addTo, fill } from '../kernels/elementwise.ts';

/** A sum of losses over steps, on the GPU: adding to it is part of a captured step, and nothing is read back until it is asked for. */
export class RunningSum {
  readonly #gpu: Gpu;
  readonly #sum: Tensor;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#sum = keep(Tensor.zeros(gpu, [1]));
  }

  /** Adds a value [1]. */
  add(value: Tensor): void {
    addTo(this.#gpu, value.buffer, this.#sum.buffer, 1);
  }

  /** The sum so far; starts again from 0. */
  async take(): Promise<number> {
    const [sum] = await this.#sum.read();
    fill(this.#gpu, this.#sum.buffer, 1, 0);
    return sum!;
  }

  dispose(): void {
    this.#sum.dispose();
  }
}
