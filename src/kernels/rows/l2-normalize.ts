import source from '../../../shaders/l2_normalize.wgsl';
import backwardSource from '../../../shaders/l2_normalize_backward.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { type RowOptions, rowKernel } from './row-kernel.ts';

const forward = rowKernel('l2_normalize', source);
const backward = rowKernel('l2_normalize_backward', backwardSource);

export interface L2Normalize extends RowOptions {
  /** [rows, width] */
  readonly x: GpuBuffer;
  readonly y: GpuBuffer;
  /** Rows shorter than this are divided by it. 0, as in CLIP's x / x.norm(): a row of zeros gives NaN. */
  readonly eps: number;
}

/** y[r] = x[r] / max(|x[r]|, eps). */
export function l2Normalize(gpu: Gpu, { x, y, eps, variant, ...shape }: L2Normalize): void {
  forward.run(gpu, { buffers: [x, y], params: [eps] }, shape, variant);
}

export interface L2NormalizeBackward extends Omit<L2Normalize, 'y'> {
  readonly dy: GpuBuffer;
  readonly dx: GpuBuffer;
}

/** The gradient by x. */
export function l2NormalizeBackward(
  gpu: Gpu,
  { x, dy, dx, eps, variant, ...shape }: L2NormalizeBackward,
): void {
  backward.run(gpu, { buffers: [x, dy, dx], params: [eps] }, shape, variant);
}
