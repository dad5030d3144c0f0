import type { DeviceErrors } from './errors.ts';
import type { DeviceMemory } from './memory.ts';

/** One dispatch on the GPU's clock. */
export interface DispatchTime {
  /** Of its kernel. */
  readonly name: string;
  /** Nanoseconds; 0 is anywhere. */
  readonly begin: number;
  readonly end: number;
}

/** Time of one kernel (and detail, such as a shape) over the work profiled. */
export interface KernelTime {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
}

const capacity = 2048; // dispatches timed between two read-backs: a query set holds at most 4096 timestamps

/** Times every dispatch with timestamp queries, a compute pass each. */
export class Profiler {
  readonly #memory: DeviceMemory;
  readonly #errors: DeviceErrors;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  #origin: bigint | undefined;
  readonly #pending: Promise<DispatchTime[]>[] = [];
  #names: string[] = [];
  #timed = 0;
  readonly #repeats: (dispatch: number) => number;

  /** @param repeats how often a dispatch, by its number, runs in its pass */
  constructor(
    device: GPUDevice,
    memory: DeviceMemory,
    errors: DeviceErrors,
    repeats: (dispatch: number) => number = () => 1,
  ) {
    this.#repeats = repeats;
    this.#memory = memory;
    this.#errors = errors;
    const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
    this.#resolved = memory.createBuffer({ size: 16 * capacity, usage }, 'the times of a profile');
    this.#queries = errors.attempt(() => device.createQuerySet({ type: 'timestamp', count: 2 * capacity }));
  }

  get full(): boolean {
    return this.#names.length === capacity;
  }

  /** The timestamp writes of the next dispatch's pass, and how often it runs in it. */
  next(name: string): { readonly timestampWrites: GPUComputePassTimestampWrites; readonly repeats: number } {
    const index = this.#names.push(name) - 1;
    return {
      timestampWrites: {
        querySet: this.#queries,
        beginningOfPassWriteIndex: 2 * index,
        endOfPassWriteIndex: 2 * index + 1,
      },
      repeats: this.#repeats(this.#timed++),
    };
  }

  /** Records, at the end of a command encoder, the read-back of what it timed; call `collect` after its submission. */
  resolve(encoder: GPUCommandEncoder): (() => void) | undefined {
    const names = this.#names;
    if (names.length === 0) return undefined;
    this.#names = [];
    const bytes = 16 * names.length;
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    const staging = this.#memory.createBuffer({ size: bytes, usage }, 'the times of a profile');
    encoder.resolveQuerySet(this.#queries, 0, 2 * names.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes);
    return () => {
      const read = this.#collect(names, staging);
      // Whether times() is reached or not.
      read.catch(() => {});
      this.#pending.push(read);
    };
  }

  async #collect(names: readonly string[], staging: GPUBuffer): Promise<DispatchTime[]> {
    try {
      await this.#errors.wait(staging.mapAsync(GPUMapMode.READ));
      const ticks = new BigUint64Array(staging.getMappedRange());
      // The clock's own numbers exceed what a number holds exactly.
      const origin = (this.#origin ??= ticks[0]!);
      const at = (i: number) => Number(ticks[i]! - origin);
      return names.map((name, i) => ({ name, begin: at(2 * i), end: at(2 * i + 1) }));
    } finally {
      staging.destroy();
    }
  }

  /** The times so far, in the order of the dispatches. */
  async times(): Promise<readonly DispatchTime[]> {
    return (await Promise.all(this.#pending.splice(0))).flat();
  }

  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}

/** Added up by name, the slowest kernel first. */
export function timesByKernel(times: readonly DispatchTime[]): KernelTime[] {
  const totals = new Map<string, { calls: number; nanoseconds: number }>();
  for (const { name, begin, end } of times) {
    const total = totals.get(name) ?? { calls: 0, nanoseconds: 0 };
    total.calls++;
    total.nanoseconds += end - begin;
    totals.set(name, total);
  }
  return [...totals]
    .map(([name, { calls, nanoseconds }]) => ({ name, calls, milliseconds: nanoseconds / 1e6 }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
