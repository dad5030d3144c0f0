import source from '../../../shaders/l2_normalize.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { type RowSharing, rowKernel, rowLaunch } from './sharing.ts';

const kernel = rowKernel('l2_normalize', source);

export interface L2NormalizeOptions {
  /** Rows shorter than this are divided by it. 0, as in CLIP's x / x.norm(): a row of zeros gives NaN. */
  readonly eps?: number;
  readonly sharing?: RowSharing;
}

/** out[r] = x[r] / max(|x[r]|, eps), x [rows, width]; with `dy`, the gradient by x instead. */
export function l2Normalize(
  gpu: Gpu,
  x: GpuBuffer,
  dy: GpuBuffer | null,
  out: GpuBuffer,
  rows: number,
  width: number,
  options: L2NormalizeOptions = {},
): void {
  const { sharing, constants, groups } = rowLaunch(gpu, rows, options.sharing);
  gpu.run(kernel[sharing], {
    constants: { ...constants, GRADIENT: Number(dy !== null) },
    buffers: [x, ...(dy ? [dy] : []), out],
    params: [rows, width, options.eps ?? 0],
    groups,
  });
}
