import source from '../../../shaders/softmax.wgsl';
import backwardSource from '../../../shaders/softmax_backward.wgsl';
import naiveSource from '../../../shaders/softmax_naive.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { type RowOptions, type RowShape, type RowTiling, rowKernel } from './row-kernel.ts';

/**
 * Four rows whose length is no multiple of 4 together begin and end at a vec4. A software adapter gains by taking them so; a
 * GPU, whose neighboring lanes load neighboring words anyway, would have a quarter of the rows to spread over its cores.
 */
function tiling(gpu: Gpu, { rows, width }: RowShape): RowTiling {
  if (width % 4 === 0) return { VEC_SIZE: 4, ROWS_PER_TURN: 1 };
  const byFours = gpu.adapter.software && rows % 4 === 0;
  return byFours ? { VEC_SIZE: 4, ROWS_PER_TURN: 4 } : { VEC_SIZE: 1, ROWS_PER_TURN: 1 };
}

const forward = rowKernel('softmax', source, {
  naive: naiveSource,
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [{ elements: rows * width, type: 'f32' }],
    output: rows * width,
    args: ([x], y) => ({ buffers: [x!, y], constants: { LOG: 0 } }),
  }),
});

const backward = rowKernel('softmax_backward', backwardSource, {
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [rows * width, rows * width].map((elements) => ({ elements, type: 'f32' })),
    output: rows * width,
    args: ([y, dy], dx) => ({ buffers: [y!, dy!, dx], constants: { LOG: 0 } }),
  }),
});

interface SoftmaxOptions extends RowOptions {
  /** The logarithm of the softmax instead. */
  readonly log?: boolean;
}

export interface Softmax extends SoftmaxOptions {
  /** [rows, width] */
  readonly x: GpuBuffer;
  readonly y: GpuBuffer;
}

/** y = the softmax of each row of x, or its logarithm. */
export function softmax(gpu: Gpu, { x, y, log = false, variant, ...shape }: Softmax): void {
  forward.run(gpu, { buffers: [x, y], constants: { LOG: Number(log) } }, shape, variant);
}

export interface SoftmaxBackward extends SoftmaxOptions {
  /** The output, [rows, width]. */
  readonly y: GpuBuffer;
  readonly dy: GpuBuffer;
  readonly dx: GpuBuffer;
}

/** The gradient by x, from the output y. */
export function softmaxBackward(
  gpu: Gpu,
  { y, dy, dx, log = false, variant, ...shape }: SoftmaxBackward,
): void {
  backward.run(gpu, { buffers: [y, dy, dx], constants: { LOG: Number(log) } }, shape, variant);
}
