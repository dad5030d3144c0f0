import forwardSource from '../../../shaders/attention_flash.wgsl';
import keysSource from '../../../shaders/attention_flash_backward_kv.wgsl';
import queriesSource from '../../../shaders/attention_flash_backward_q.wgsl';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { attentionDelta } from './delta.ts';
import {
  type AttentionBackward,
  type AttentionForward,
  type AttentionShape,
  aligned,
  inVec4,
  maskConstants,
  type Section,
  scaleOf,
} from './shape.ts';

/** What this variant's results depend on. */
export const sharedSources = [forwardSource, keysSource, queriesSource];

const forwardKernel = { name: 'attention_flash', source: forwardSource };
const queriesKernel = { name: 'attention_flash_backward_q', source: queriesSource };
const keysKernel = { name: 'attention_flash_backward_kv', source: keysSource };

const lanes = 64;

/** Whether both directions can run: vec4 loads, and vectors that fit into registers. */
export function sharedApplies(shape: AttentionShape, sections: readonly Section[]): boolean {
  return shape.headDim <= 128 && aligned(shape, sections);
}

/** How a workgroup shares the work: lanes a vector, and rows of the two tiles in workgroup memory. */
function tiling(gpu: Gpu, headDim: number) {
  const d4 = headDim / 4;
  const quad = gpu.has('subgroups') && gpu.adapter.subgroupMin >= 4 && d4 % 4 === 0;
  const split = quad ? 4 : 1;
  const fits = (rows: number) => 2 * rows * headDim * 4 <= gpu.limits.maxComputeWorkgroupStorageSize;
  const TILE_ROWS = [32, 16, 8, 4].find(fits)!;
  return { constants: { D4: d4, LANES_PER_ROW: split, TILE_ROWS }, rows: lanes / split };
}

/** Online softmax over tiles of keys in workgroup memory: one dispatch, nothing but the output written. */
export function sharedForward(gpu: Gpu, options: AttentionForward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, lse, end, mask } = options;
  const { constants, rows } = tiling(gpu, headDim);
  gpu.run(forwardKernel, {
    constants: { ...maskConstants(options), LSE: Number(Boolean(lse)), ...constants },
    buffers: [q.buffer, k.buffer, v.buffer, ...(mask === 'tree' ? [end!] : []), out, ...(lse ? [lse] : [])],
    params: [queries, keys, heads, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
    groups: [Math.ceil(queries / rows), heads, batch],
  });
}

/** Three dispatches: D = rowsum(dO ∘ O), dQ by queries, dK and dV by keys; memory linear in the length. */
export function sharedBackward(gpu: Gpu, options: AttentionBackward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, dOut, dq, dk, dv, lse, end, mask } = options;
  const { constants, rows } = tiling(gpu, headDim);
  withScratch(gpu, queriesKernel.name, (hold) => {
    const delta = hold(gpu.pool.allocate(batch * heads * queries * 4));
    attentionDelta(gpu, options, out, dOut, delta);
    const run = (kernel: typeof queriesKernel, length: number, gradients: readonly Section[]) =>
      gpu.run(kernel, {
        constants: { ...maskConstants(options), ...constants },
        buffers: [q, k, v]
          .map(({ buffer }) => buffer)
          .concat(dOut, lse, delta, mask === 'tree' ? [end!] : [], gradients[0]!.buffer),
        params: [queries, keys, heads, ...inVec4(q, k, v, ...gradients), scaleOf(options)],
        groups: [Math.ceil(length / rows), heads, batch],
      });
    run(queriesKernel, queries, [dq]);
    run(keysKernel, keys, [dk, dv]);
  });
}
