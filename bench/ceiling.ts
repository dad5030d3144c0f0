import { availableParallelism } from 'node:os';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import copySource from './shaders/ceiling_copy.wgsl';
import fmaSource from './shaders/ceiling_fma.wgsl';

const fmaKernel = { name: 'ceiling_fma', source: fmaSource };
const copyKernel = { name: 'ceiling_copy', source: copySource };

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
  const groups = gpu.adapter.software ? 256 : 16384;
  // Some 50 ms on two cores: runs of a few milliseconds catch moments that no kernel gets.
  const rounds = gpu.adapter.software ? 3200 : 2000;
  const copied = 16 * 2 ** 20;
  const values = gpu.pool.allocate(groups * 64 * 4);
  const from = gpu.pool.allocate(copied * 4);
  const to = gpu.pool.allocate(copied * 4);
  gpu.write(values, new Float32Array(groups * 64).fill(0.5));
  let fma = Number.POSITIVE_INFINITY;
  let copy = Number.POSITIVE_INFINITY;
  return {
    async round() {
      const multiply = () => gpu.run(fmaKernel, { buffers: [values], params: [rounds], groups: [groups] });
      const move = () => gpu.run(copyKernel, { buffers: [from, to], groups: [copied / 1024] });
      fma = Math.min(fma, await milliseconds(gpu, multiply, clock));
      copy = Math.min(copy, await milliseconds(gpu, move, clock));
    },
    best: () => ({
      gflops: (groups * 64 * rounds * 48 * 2) / fma / 1e6,
      copyGBs: (2 * copied * 4) / copy / 1e6,
    }),
    release: () => {
      for (const buffer of [values, from, to]) gpu.pool.release(buffer);
    },
  };
}
