import crossEntropySource from '../../../shaders/cross_entropy.wgsl';
import mseSource from '../../../shaders/mse.wgsl';
import mseDxSource from '../../../shaders/mse_dx.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { elementGroups } from '../elementwise.ts';
import { reduceAll, reduceChunk } from './reduce.ts';
import { type RowSharing, rowKernel, rowLaunch } from './sharing.ts';

const mseKernel = rowKernel('mse', mseSource);
const mseDxKernel = { name: 'mse_dx', source: mseDxSource };
const crossEntropyKernel = rowKernel('cross_entropy', crossEntropySource);

/** loss[1] = mean of (x - t)² over `size` numbers. */
export function meanSquaredError(
  gpu: Gpu,
  x: GpuBuffer,
  t: GpuBuffer,
  loss: GpuBuffer,
  size: number,
  variant?: RowSharing,
): void {
  const chunks = Math.ceil(size / reduceChunk);
  const { sharing, constants, groups } = rowLaunch(gpu, chunks, variant);
  withScratch(gpu, 'mse', (hold) => {
    const sums = chunks === 1 ? loss : hold(gpu.pool.allocate(4 * chunks));
    gpu.run(mseKernel[sharing], {
      constants,
      buffers: [x, t, sums],
      params: [size, reduceChunk, chunks === 1 ? 1 / size : 1],
      groups,
    });
    if (chunks > 1) reduceAll(gpu, sums, loss, chunks, { factor: 1 / size, sharing: variant });
  });
}

/** dx[size] = dloss[0] · 2/size · (x - t). */
export function meanSquaredErrorDx(
  gpu: Gpu,
  x: GpuBuffer,
  t: GpuBuffer,
  dloss: GpuBuffer,
  dx: GpuBuffer,
  size: number,
): void {
  gpu.run(mseDxKernel, {
    buffers: [x, t, dloss, dx],
    params: [size],
    groups: elementGroups(size),
  });
}

/** loss[1] = mean over rows of -log softmax(x)[row, t[row]]; x [rows, width], t u32 [rows] below width. */
export function crossEntropy(
  gpu: Gpu,
  x: GpuBuffer,
  t: GpuBuffer,
  loss: GpuBuffer,
  rows: number,
  width: number,
  variant?: RowSharing,
): void {
  const { sharing, constants, groups } = rowLaunch(gpu, rows, variant);
  withScratch(gpu, 'cross_entropy', (hold) => {
    const terms = hold(gpu.pool.allocate(4 * rows));
    gpu.run(crossEntropyKernel[sharing], {
      constants: { ...constants, GRADIENT: 0 },
      buffers: [x, t, terms],
      params: [rows, width],
      groups,
    });
    reduceAll(gpu, terms, loss, rows, { factor: 1 / rows, sharing: variant });
  });
}

/** dx [rows, width] of {@link crossEntropy}. */
export function crossEntropyDx(
  gpu: Gpu,
  x: GpuBuffer,
  t: GpuBuffer,
  dloss: GpuBuffer,
  dx: GpuBuffer,
  rows: number,
  width: number,
  variant?: RowSharing,
): void {
  const { sharing, constants, groups } = rowLaunch(gpu, rows, variant);
  gpu.run(crossEntropyKernel[sharing], {
    constants: { ...constants, GRADIENT: 1 },
    buffers: [x, t, dloss, dx],
    params: [rows, width],
    groups,
  });
}
