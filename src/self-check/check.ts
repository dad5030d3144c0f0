import type { GpuBuffer } from '../kernels/device/buffer-pool.ts';
import type { Gpu } from '../kernels/device/gpu.ts';

/** One thing that is tried on an adapter. */
export interface Check {
  readonly name: string;
  /**
   * What the engine does without where it fails (src/kernels/device/masks.ts). None at all: nothing can be done without it, and
   * no result of the adapter is to be trusted.
   */
  readonly masks: readonly string[];
  /** Its kernels are large: a software adapter compiles them for seconds, so there it is only tried by who asks for all. */
  readonly large?: boolean;
  /** Whether it concerns this adapter, less what is masked already. */
  applies(gpu: Gpu): boolean;
  /** What is wrong, in a few words; undefined if nothing is. */
  run(gpu: Gpu): Promise<string | undefined>;
}

/** Runs `work` with buffers that go back to the pool after it. */
export async function withBuffers<T>(
  gpu: Gpu,
  work: (make: (data: Float32Array | Uint32Array | number) => GpuBuffer) => Promise<T>,
): Promise<T> {
  const held: GpuBuffer[] = [];
  const make = (data: Float32Array | Uint32Array | number) => {
    const buffer = gpu.pool.allocate(typeof data === 'number' ? 4 * data : data.byteLength);
    held.push(buffer);
    if (typeof data !== 'number') gpu.write(buffer, data);
    return buffer;
  };
  try {
    return await work(make);
  } finally {
    for (const buffer of held) gpu.pool.release(buffer);
  }
}

/** Numbers in ±1/2 that look random; those of one seed are the same everywhere. */
export function someNumbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const word = Math.imul(Math.imul(i + 1, 0x9e3779b1) ^ (seed * 0x85ebca6b), 0xc2b2ae35) >>> 0;
    return (word >>> 8) / 2 ** 24 - 0.5;
  });
}

/** Largest difference, relative to the largest magnitude, that is put down to the order of summation. */
const tolerance = 1e-4;

/** In which number a result differs from what is expected; undefined where in none. What was not written stands out by a poison. */
export function difference(got: ArrayLike<number>, expected: ArrayLike<number>): string | undefined {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++)
    if (!(Math.abs(got[i]! - expected[i]!) <= tolerance * largest))
      return `number ${i} of ${expected.length} is ${got[i]} and not ${Number(expected[i]!.toPrecision(7))}`;
  return undefined;
}

/** Nothing that a kernel here computes. */
export const poison = (count: number): Float32Array => new Float32Array(count).fill(-1e20);
