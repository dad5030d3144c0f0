import forwardSource from '../../../shaders/attention_flash.wgsl';
import keysSource from '../../../shaders/attention_flash_backward_kv.wgsl';
import queriesSource from '../../../shaders/attention_flash_backward_q.wgsl';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { attentionDelta, deltaSource } from './delta.ts';
import {
  type BackwardVariant,
  endBuffers,
  type ForwardVariant,
  inVec4,
  maskNumbers,
  type StridedView,
  scaleOf,
} from './shape.ts';

const forwardKernel = { name: 'attention_flash', source: forwardSource };
const queriesKernel = { name: 'attention_flash_backward_q', source: queriesSource };
const keysKernel = { name: 'attention_flash_backward_kv', source: keysSource };

const lanes = 64;

/** Vec4 loads, and vectors that fit into registers. */
const applies: ForwardVariant['applies'] = (_gpu, shape) => shape.headDim <= 128 && shape.aligned;

/** The first choice on a GPU; a processor has neither fast workgroup memory nor cheap barriers. */
const cost = ({ adapter }: Gpu): number => (adapter.software ? 2 : 1);

/** How a workgroup shares the work: the shaders' constants, and its rows. */
function tiling(gpu: Gpu, headDim: number) {
  const d4 = headDim / 4;
  const quad = gpu.has('subgroups') && gpu.adapter.subgroupMin >= 4 && d4 % 4 === 0;
  const lanesPerRow = quad ? 4 : 1;
  const fits = (rows: number) => 2 * rows * headDim * 4 <= gpu.limits.maxComputeWorkgroupStorageSize;
  const tileRows = [32, 16, 8].find(fits) ?? 4;
  return {
    constants: { D4: d4, LANES_PER_ROW: lanesPerRow, TILE_ROWS: tileRows },
    rows: lanes / lanesPerRow,
  };
}

/** Online softmax over tiles of keys in workgroup memory: one dispatch, nothing but the output written. */
export const flash: ForwardVariant = {
  name: 'flash',
  sources: [forwardSource],
  applies,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, mask, q, k, v, out, lse } = options;
    const { constants, rows } = tiling(gpu, headDim);
    gpu.run(forwardKernel, {
      constants: { MASK: maskNumbers[mask], LSE: Number(Boolean(lse)), ...constants },
      buffers: [q.buffer, k.buffer, v.buffer, ...endBuffers(options), out, ...(lse ? [lse] : [])],
      params: [queries, keys, heads, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
      groups: [Math.ceil(queries / rows), heads, batch],
    });
  },
};

/** Three dispatches: D = rowsum(dO ∘ O), dQ by queries, dK and dV by keys; memory linear in the length. */
export const flashBackward: BackwardVariant = {
  name: 'flash',
  sources: [deltaSource, queriesSource, keysSource],
  applies,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, mask, q, k, v, dOut, dq, dk, dv, lse } = options;
    const { constants, rows } = tiling(gpu, headDim);
    withScratch(gpu, queriesKernel.name, (hold) => {
      const delta = hold(gpu.pool.allocate(batch * heads * queries * 4));
      attentionDelta(gpu, options, delta);
      const inputs = [q.buffer, k.buffer, v.buffer, dOut, lse, delta, ...endBuffers(options)];
      const run = (
        kernel: typeof queriesKernel,
        length: number,
        gradients: readonly [StridedView, ...StridedView[]],
      ) =>
        gpu.run(kernel, {
          constants: { MASK: maskNumbers[mask], ...constants },
          buffers: [...inputs, gradients[0].buffer],
          params: [queries, keys, heads, ...inVec4(q, k, v, ...gradients), scaleOf(options)],
          groups: [Math.ceil(length / rows), heads, batch],
        });
      run(queriesKernel, queries, [dq]);
      run(keysKernel, keys, [dk, dv]);
    });
  },
};
