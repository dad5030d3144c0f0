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

/** Bytes that a GPU copies at once, as far as it binds so many: several times what the largest caches hold. */
const copiedByGpus = 2 ** 29;

/**
 * On a GPU 25 GFLOP a dispatch, which none in use takes so long for that its driver minds, and 1 GiB of traffic, or as much as it
 * binds: whoever times them launches as many as the clock takes. On a processor 128 MiB of traffic.
 *
 * @param effort of a processor: 1 is some 50 ms on two cores, since runs of a few milliseconds catch moments that no kernel gets
 */
export function ceilingLaunches(gpu: Gpu, effort = 1): CeilingLaunches {
  const { software } = gpu.adapter;
  const groups = software ? 256 : 16384;
  const rounds = software ? Math.ceil(3200 * effort) : 250;
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(copiedByGpus, maxStorageBufferBindingSize, maxBufferSize);
  const copied = software ? 2 ** 26 : 2 ** Math.floor(Math.log2(most));
  // Powers of two, so that no group lies beyond the buffers' ends.
  const [copies, across] = [copied / 4096, 2 ** 14];
  const values = gpu.pool.allocate(groups * 64 * 4);
  const from = gpu.pool.allocate(copied);
  const to = gpu.pool.allocate(copied);
  gpu.write(values, new Float32Array(groups * 64).fill(0.5));
  return {
    operations: groups * 64 * rounds * 48 * 2,
    bytes: 2 * copied,
    multiply: () => gpu.run(fmaKernel, { buffers: [values], params: [rounds], groups: [groups] }),
    move: () => gpu.run(copyKernel, { buffers: [from, to], groups: [across, copies / across] }),
    release: () => {
      for (const buffer of [values, from, to]) gpu.pool.release(buffer);
    },
  };
}
