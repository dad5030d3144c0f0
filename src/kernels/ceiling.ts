import copySource from '../../shaders/ceiling_copy.wgsl';
import fmaSource from '../../shaders/ceiling_fma.wgsl';
import type { Gpu } from './device/gpu.ts';

const fmaKernel = { name: 'ceiling_fma', source: fmaSource };
const copyKernel = { name: 'ceiling_copy', source: copySource };

/** What no kernel exceeds on this adapter: a dispatch of nothing but multiply-adds, and one of nothing but copying. */
export interface CeilingLaunches {
  /** Of one multiply(): two a multiply-add. */
  readonly operations: number;
  /** Of one move(): read and written. */
  readonly bytes: number;
  multiply(): void;
  move(): void;
  /** Frees the buffers. */
  release(): void;
}

/** @param effort 1: some 50 ms on two cores, since runs of a few milliseconds catch moments that no kernel gets */
export function ceilingLaunches(gpu: Gpu, effort = 1): CeilingLaunches {
  const groups = gpu.adapter.software ? 256 : 16384;
  const rounds = Math.ceil(effort * (gpu.adapter.software ? 3200 : 2000));
  const copied = 16 * 2 ** 20;
  const values = gpu.pool.allocate(groups * 64 * 4);
  const from = gpu.pool.allocate(copied * 4);
  const to = gpu.pool.allocate(copied * 4);
  gpu.write(values, new Float32Array(groups * 64).fill(0.5));
  return {
    operations: groups * 64 * rounds * 48 * 2,
    bytes: 2 * copied * 4,
    multiply: () => gpu.run(fmaKernel, { buffers: [values], params: [rounds], groups: [groups] }),
    move: () => gpu.run(copyKernel, { buffers: [from, to], groups: [copied / 1024] }),
    release: () => {
      for (const buffer of [values, from, to]) gpu.pool.release(buffer);
    },
  };
}
