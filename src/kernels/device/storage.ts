import type { GpuStorage } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

/** Work that fills a storage, not recorded yet. */
export interface Pending {
  /** Records it. */
  compute(out: GpuStorage): void;
  /** Gives back what it holds: it is recorded, or nobody needs it any more. */
  drop(): void;
}

/** An allocation shared by handles; goes back to the pool with the last of them. */
export class Storage<Allocation extends GpuStorage> {
  readonly gpu: Gpu;
  readonly allocation: Allocation;
  /** What the allocation lacks to hold its contents. */
  pending: Pending | null = null;
  #references = 1;

  constructor(gpu: Gpu, allocation: Allocation) {
    this.gpu = gpu;
    this.allocation = allocation;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  /** Whether anybody holds it. */
  get live(): boolean {
    return this.#references > 0;
  }

  /** Records what was put off; `by` another launch than its own, if given. */
  settle(by?: () => void): void {
    const { pending } = this;
    if (!pending) return;
    this.pending = null;
    try {
      if (by) by();
      else pending.compute(this.allocation);
    } finally {
      pending.drop();
    }
  }

  release(): void {
    if (--this.#references > 0) return;
    this.pending?.drop();
    this.pending = null;
    this.gpu.pool.release(this.allocation);
  }
}
