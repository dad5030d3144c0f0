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

/** Rows of keys, or of queries, that pass through workgroup memory together. */
const tileSizes = [16, 8, 32] as const;
type TileRows = (typeof tileSizes)[number];

/**
 * The first choice on a GPU; a processor has neither fast workgroup memory nor cheap barriers. The result does not depend on the
 * tile's rows, but memory does, and so how many workgroups a GPU holds at once: by rule 8 KB, with which RADV's compiler finds room
 * for 8 subgroups a SIMD on RDNA 3 and 2 on an MI300; 32 rows of 64 halve both.
 */
function costOf(tileRows: TileRows): NonNullable<ForwardVariant['cost']> {
  return ({ adapter }, { headDim }) => {
    if (adapter.software) return tileRows === 16 ? 2 : Number.POSITIVE_INFINITY;
    return tileRows === (headDim <= 64 ? 16 : 8) ? 1 : 1.5;
  };
}

/** Vec4 loads, vectors that fit into registers, and tiles that fit into workgroup memory. */
function appliesOf(tileRows: TileRows): ForwardVariant['applies'] {
  return (gpu, shape) =>
    shape.headDim <= 128 &&
    shape.aligned &&
    2 * tileRows * shape.headDim * 4 <= gpu.limits.maxComputeWorkgroupStorageSize;
}

const nameOf = (tileRows: TileRows) => (tileRows === 16 ? 'flash' : `flash${tileRows}`);

/** How a workgroup shares the work: the shaders' constants, and its rows. */
function tiling(gpu: Gpu, headDim: number, tileRows: TileRows) {
  const LANES_PER_ROW = lanesPerRow(gpu, headDim);
  return {
    constants: { D4: headDim / 4, LANES_PER_ROW, TILE_ROWS: tileRows },
    rows: lanes / LANES_PER_ROW,
  };
}

/** Four where shuffles join their sums, and each gets as many vec4s of a head. */
export function lanesPerRow(gpu: Gpu, headDim: number): 1 | 4 {
  return gpu.has('subgroups') && gpu.adapter.subgroupMin >= 4 && headDim % 16 === 0 ? 4 : 1;
}

/** Online softmax over tiles of keys in workgroup memory: one dispatch, nothing but the output written. */
export const flash = tileSizes.map(
  (tileRows): ForwardVariant => ({
    name: nameOf(tileRows),
    sources: [forwardSource],
    applies: appliesOf(tileRows),
    cost: costOf(tileRows),

    launch(gpu, options) {
      const { batch, queries, keys, heads, headDim, mask, q, k, v, out, lse } = options;
      const { constants, rows } = tiling(gpu, headDim, tileRows);
      gpu.run(forwardKernel, {
        constants: { MASK: maskNumbers[mask], LSE: Number(Boolean(lse)), ...constants },
        buffers: [q.buffer, k.buffer, v.buffer, ...endBuffers(options), out, ...(lse ? [lse] : [])],
        params: [queries, keys, heads, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
        groups: [Math.ceil(queries / rows), heads, batch],
      });
    },
  }),
);

/** Three dispatches: D = rowsum(dO ∘ O), dQ by queries, dK and dV by keys; memory linear in the length. */
export const flashBackward = tileSizes.map(
  (tileRows): BackwardVariant => ({
    name: nameOf(tileRows),
    sources: [deltaSource, queriesSource, keysSource],
    applies: appliesOf(tileRows),
    cost: costOf(tileRows),

    launch(gpu, options) {
      const { batch, queries, keys, heads, headDim, mask, q, k, v, dOut, dq, dk, dv, lse } = options;
      const { constants, rows } = tiling(gpu, headDim, tileRows);
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
  }),
);
