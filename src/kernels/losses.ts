import crossEntropySource from '../../shaders/cross_entropy.wgsl';
import mseSource from '../../shaders/mse.wgsl';
import mseDxSource from '../../shaders/mse_dx.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { sumColumns } from './reduce.ts';

const mseKernel = { name: 'mse', source: mseSource };
const mseDxKernel = { name: 'mse_dx', source: mseDxSource };
const crossEntropyKernel = { name: 'cross_entropy', source: crossEntropySource };

/** loss[1] = mean of (x - t)² over `size` numbers. */
export function meanSquaredError(gpu: Gpu, x: GpuBuffer, t: GpuBuffer, loss: GpuBuffer, size: number): void {
  gpu.run(mseKernel, { buffers: [x, t, loss], params: [size], groups: [1] });
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
  gpu.run(mseDxKernel, { buffers: [x, t, dloss, dx], params: [size], groups: [Math.ceil(size / 64)] });
}

/** loss[1] = mean over rows of -log softmax(x)[row, t[row]]; x [rows, width], t u32 [rows] below width. */
export function crossEntropy(
  gpu: Gpu,
  x: GpuBuffer,
  t: GpuBuffer,
  loss: GpuBuffer,
  rows: number,
  width: number,
): void {
  const terms = gpu.pool.allocate(4 * rows);
  gpu.run(crossEntropyKernel, {
    constants: { GRADIENT: 0 },
    buffers: [x, t, terms],
    params: [rows, width],
    groups: [Math.ceil(rows / 32)],
  });
  sumColumns(gpu, terms, loss, 1, rows, { factor: 1 / rows });
  gpu.pool.release(terms);
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
): void {
  gpu.run(crossEntropyKernel, {
    constants: { GRADIENT: 1 },
    buffers: [x, t, dloss, dx],
    params: [rows, width],
    groups: [Math.ceil(rows / 32)],
  });
}
