import type { GpuBuffer } from '../kernels/device/buffer-pool.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Pending, Storage } from '../kernels/device/storage.ts';
import { fill } from '../kernels/elementwise.ts';
import { keep, type Scoped } from './scope.ts';

/**
 * The launch that fills a tensor, put off until somebody reads it. Who does may know it and make it part of a launch of his own:
 * a product that ends with the derivative of an activation, or begins with a layer norm, spares a launch and a pass over memory. It
 * holds what it reads. Only the tape has tensors put off, and computes at its end what is still held; so nothing that it reads is
 * overwritten before.
 */
export abstract class Deferred implements Pending {
  readonly #held: readonly Scoped[];

  constructor(...read: readonly (Scoped | null)[]) {
    this.#held = read.filter((one) => one !== null);
    for (const operand of this.#held) keep(operand);
  }

  /** Launches it. */
  abstract compute(out: GpuBuffer): void;

  drop(): void {
    for (const operand of this.#held) operand.dispose();
  }
}

/**
 * A value's gradient by itself, 1, where the value is one number: a loss whose op knows it has its own gradient already, and does not
 * read it.
 */
export class UnitGradient extends Deferred {
  readonly #gpu: Gpu;

  constructor(gpu: Gpu) {
    super();
    this.#gpu = gpu;
  }

  compute(out: GpuBuffer): void {
    fill(this.#gpu, out, 1, 1);
  }
}

/** What is put off, in the order in which it was; undefined where nothing may be. */
let open: Storage<GpuBuffer>[] | undefined;

/** Runs `body`, in which tensors may be put off, and computes those that somebody still holds then. */
export function deferring<T>(body: () => T): T {
  const outer = open;
  open = [];
  try {
    const value = body();
    computeDeferred();
    return value;
  } finally {
    open = outer;
  }
}

/** Computes all that is put off and still held. */
export function computeDeferred(): void {
  for (const storage of open?.splice(0) ?? []) if (storage.live) storage.settle();
}

/** Whether tensors may be put off. */
export const mayDefer = (): boolean => open !== undefined;

/** Puts the contents of a storage off. */
export function putOff(storage: Storage<GpuBuffer>, pending: Pending): void {
  if (!open) throw new Error('only a tape puts work off');
  storage.pending = pending;
  open.push(storage);
}
