import type { GpuStorage } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

/** An allocation shared by handles; goes back to the pool with the last of them. */
export class Storage<Allocation extends GpuStorage> {
  readonly gpu: Gpu;
  readonly allocation: Allocation;
  #references = 1;

  constructor(gpu: Gpu, allocation: Allocation) {
    this.gpu = gpu;
    this.allocation = allocation;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references === 0) this.gpu.pool.release(this.allocation);
  }
}
