import source from '../../shaders/l2_normalize.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

const kernel = { name: 'l2_normalize', source };

/** out[r] = x[r] / |x[r]|, x [rows, width]; with `dy`, the gradient by x instead. A row of zeros gives NaN, as x / x.norm() does. */
export function l2Normalize(
  gpu: Gpu,
  x: GpuBuffer,
  dy: GpuBuffer | null,
  out: GpuBuffer,
  rows: number,
  width: number,
): void {
  gpu.run(kernel, {
    constants: { GRADIENT: Number(dy !== null) },
    buffers: [x, ...(dy ? [dy] : []), out],
    params: [rows, width],
    groups: [Math.ceil(rows / 32)],
  });
}
