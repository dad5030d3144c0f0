import forwardSource from '../../shaders/softmax.wgsl';
import dxSource from '../../shaders/softmax_dx.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

const forwardKernel = { name: 'softmax', source: forwardSource };
const dxKernel = { name: 'softmax_dx', source: dxSource };

/** y [rows, width] = the softmax of each row of x, or its logarithm. */
export function softmax(
  gpu: Gpu,
  x: GpuBuffer,
  y: GpuBuffer,
  rows: number,
  width: number,
  log = false,
): void {
  gpu.run(forwardKernel, {
    constants: { LOG: Number(log) },
    buffers: [x, y],
    params: [rows, width],
    groups: [Math.ceil(rows / 32)],
  });
}

/** The gradient by x, from the output y. */
export function softmaxDx(
  gpu: Gpu,
  y: GpuBuffer,
  dy: GpuBuffer,
  dx: GpuBuffer,
  rows: number,
  width: number,
  log = false,
): void {
  gpu.run(dxKernel, {
    constants: { LOG: Number(log) },
    buffers: [y, dy, dx],
    params: [rows, width],
    groups: [Math.ceil(rows / 32)],
  });
}
