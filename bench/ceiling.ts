import { availableParallelism } from 'node:os';
import { ceilingLaunches } from '../src/kernels/ceiling.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';

export interface Ceiling {
  /** Multiply-adds at two operations each, 10⁹ a second. */
  readonly gflops: number;
  /** Bytes read plus bytes written, 10⁹ a second. */
  readonly copyGBs: number;
}

/**
 * How to time: by the wall, or, on a software adapter that shares its cores with other programs, by the processor time
 * this process spent, divided by the number of cores that it would have had to itself.
 */
export type Clock = 'wall' | 'cpu';

/** Milliseconds from submission to completion. */
export async function milliseconds(gpu: Gpu, encode: () => void, clock: Clock = 'wall'): Promise<number> {
  await gpu.finish();
  const spent = process.cpuUsage();
  const start = performance.now();
  encode();
  await gpu.finish();
  if (clock === 'wall') return performance.now() - start;
  const { user, system } = process.cpuUsage(spent);
  return (user + system) / 1000 / availableParallelism();
}

/** A ceiling's runs, to be mixed with what is held against it: shared machines change from second to second. */
export function ceilingProbe(
  gpu: Gpu,
  clock: Clock = 'wall',
): { round(): Promise<void>; best(): Ceiling; release(): void } {
  const { operations, bytes, multiply, move, release } = ceilingLaunches(gpu);
  let fma = Number.POSITIVE_INFINITY;
  let copy = Number.POSITIVE_INFINITY;
  return {
    async round() {
      fma = Math.min(fma, await milliseconds(gpu, multiply, clock));
      copy = Math.min(copy, await milliseconds(gpu, move, clock));
    },
    best: () => ({ gflops: operations / fma / 1e6, copyGBs: bytes / copy / 1e6 }),
    release,
  };
}
