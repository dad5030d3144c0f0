import source from '../../../shaders/attention_head_backward.wgsl';
import type { Gpu } from '../device/gpu.ts';
import { lanesPerRow } from './flash.ts';
import { type BackwardVariant, endBuffers, inVec4, maskNumbers, scaleOf } from './shape.ts';

const kernel = { name: 'attention_head_backward', source };

/** Queries, and keys, of a head that a workgroup's lanes can have a row each of: four lanes a row, 256 in all. */
const most = 64;
const roundUp = (count: number, to: number) => Math.ceil(count / to) * to;

/** The matrix of scores, and that of their gradients: rows, and words of one. */
const matrixOf = ({ queries, keys }: { readonly queries: number; readonly keys: number }) => ({
  HEIGHT: queries,
  LINE: roundUp(keys, 2),
});

function fits(gpu: Gpu, sizes: { readonly queries: number; readonly keys: number }): boolean {
  const { HEIGHT, LINE } = matrixOf(sizes);
  return 2 * HEIGHT * LINE * 4 <= gpu.limits.maxComputeWorkgroupStorageSize;
}

/** One dispatch, a workgroup a head, for sequences whose scores fit into workgroup memory: what a training step has. */
export const headBackward: BackwardVariant = {
  name: 'head',
  sources: [source],
  applies: (gpu, shape) =>
    Math.max(shape.queries, shape.keys) <= most &&
    shape.headDim <= 128 &&
    shape.aligned &&
    shape.gradientsTogether &&
    lanesPerRow(gpu, shape.headDim) === 4 &&
    fits(gpu, shape),
  // The first choice on a GPU, which is mostly kept waiting by launches at these sizes.
  cost: ({ adapter }) => (adapter.software ? 2.5 : 0.5),

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, mask, q, k, v, out, dOut, dq, dk, dv, lse } = options;
    const LANES_PER_ROW = lanesPerRow(gpu, headDim);
    gpu.run(kernel, {
      constants: {
        MASK: maskNumbers[mask],
        D4: headDim / 4,
        LANES_PER_ROW,
        LANES: LANES_PER_ROW * roundUp(Math.max(queries, keys), 16),
        ...matrixOf(options),
      },
      buffers: [q.buffer, k.buffer, v.buffer, dOut, out, lse, ...endBuffers(options), dq.buffer],
      params: [queries, keys, heads, ...inVec4(q, k, v, dq, dk, dv), scaleOf(options)],
      groups: [1, heads, batch],
    });
  },
};
