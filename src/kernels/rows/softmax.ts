import source from '../../../shaders/softmax.wgsl';
import backwardSource from '../../../shaders/softmax_backward.wgsl';
import naiveSource from '../../../shaders/softmax_naive.wgsl';
import type { Gpu } from '../device/gpu.ts';
import { type RowShape, type RowTiling, rowKernel } from './row-kernel.ts';

/**
 * Four rows whose length is no multiple of 4 together begin and end at a vec4. A software adapter gains by taking them so; a
 * GPU, whose neighboring lanes load neighboring words anyway, would have a quarter of the rows to spread over its cores.
 */
function tiling(gpu: Gpu, { rows, width }: RowShape): RowTiling {
  if (width % 4 === 0) return { VEC_SIZE: 4, ROWS_PER_TURN: 1 };
  const byFours = gpu.adapter.software && rows % 4 === 0;
  return byFours ? { VEC_SIZE: 4, ROWS_PER_TURN: 4 } : { VEC_SIZE: 1, ROWS_PER_TURN: 1 };
}

/** y = the softmax of each row of x, or (LOG) its logarithm. */
export const softmax = rowKernel('softmax', source, {
  naive: naiveSource,
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [{ elements: rows * width, type: 'f32' }],
    output: rows * width,
    args: ([x], y) => ({ buffers: [x!, y], constants: { LOG: 0 } }),
  }),
});

/** The gradient by x, from the output y and dy. */
export const softmaxBackward = rowKernel('softmax_backward', backwardSource, {
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [rows * width, rows * width].map((elements) => ({ elements, type: 'f32' })),
    output: rows * width,
    args: ([y, dy], dx) => ({ buffers: [y!, dy!, dx], constants: { LOG: 0 } }),
  }),
});
