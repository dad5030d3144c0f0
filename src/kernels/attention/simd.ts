import forwardSource from '../../../shaders/attention_simd.wgsl';
import gradientSource from '../../../shaders/attention_simd_backward.wgsl';
import productSource from '../../../shaders/attention_simd_product.wgsl';
import type { GpuBuffer, GpuStorage } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import type { GpuTexture } from '../device/texture-pool.ts';
import {
  canReadTextures,
  copyToTexture,
  isCopyable,
  type Matrix,
  textureSources,
} from '../matrix-texture.ts';
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
export const rowsSources = [...textureSources, forwardSource, gradientSource, productSource];

const forwardKernel = { name: 'attention_simd', source: forwardSource };
const gradientKernel = { name: 'attention_simd_backward', source: gradientSource };
const productKernel = { name: 'attention_simd_product', source: productSource };

/** Keys that a workgroup has room for; each size is a pipeline, hence so few. The first holds the 197 tokens of ViT-B/16. */
const rooms = [200, 256, 512, 1024];

/**
 * Rows of a lane, its keys in a tile, and a workgroup's room in vec4 a row; undefined where not one row a lane fits. Under a mask,
 * tiles of fewer rows skip more of what none of them sees; loads from buffers are so much code that large tiles do not pay.
 */
function tiling(gpu: Gpu, { queries, keys, mask }: AttentionShape, texels: boolean) {
  const room = rooms.find((r) => r >= keys);
  if (!room) return undefined;
  const fitting = Math.floor(gpu.limits.maxComputeWorkgroupStorageSize / (8 * room * 4));
  const own = Math.min(texels && mask === 'none' ? 5 : 2, Math.ceil(queries / 8), fitting);
  if (own === 0) return undefined;
  // Five keys a lane, where they leave less of the last tile empty (200 for 197 tokens, not 224).
  const covered = (tile: number) => Math.ceil(keys / (8 * tile)) * 8 * tile;
  const tile = texels && mask === 'none' && covered(5) <= covered(4) ? 5 : 4;
  return { ROWS_PER_LANE: own, KEYS_PER_LANE: tile, ROOM: room / 4 };
}

/** Whether both directions can run: subgroups of at least 8, vec4 loads, and rows that fit into workgroup memory. */
export function rowsApply(gpu: Gpu, shape: AttentionShape, sections: readonly Section[]): boolean {
  return (
    gpu.has('subgroups') &&
    gpu.adapter.subgroupMin >= 8 &&
    gpu.limits.maxStorageBuffersPerShaderStage >= 9 &&
    aligned(shape, sections) &&
    tiling(gpu, shape, false) !== undefined
  );
}

/** A section's buffer as lines of its stride, all tokens below one another. */
const linesOf = ({ stride }: Section, batch: number, tokens: number): Matrix => ({
  rows: batch * tokens,
  length: stride,
});

/** Whether, besides, the forward pass can read texels: lines that the driver copies. */
export function rowsFromTexelsApply(gpu: Gpu, shape: AttentionShape, [q, k, v]: readonly Section[]): boolean {
  const { batch, queries, keys, heads, headDim } = shape;
  if (!q || !k || !v) return false;
  const lines = [linesOf(q, batch, queries), linesOf(k, batch, keys), linesOf(v, batch, keys)];
  const within = ({ offset, stride }: Section) => offset + heads * headDim <= stride;
  return canReadTextures(gpu, ...lines) && lines.every(isCopyable) && [q, k, v].every(within);
}

/** Whether keys and values are read often enough for the copy to pay. */
export const worthTexels = ({ queries }: AttentionShape): boolean => queries > 8;

/** One workgroup for 16 (or 8) queries of a head, whose scores never leave workgroup memory. */
export function rowsForward(gpu: Gpu, options: AttentionForward): void {
  const { q, k, v } = options;
  launchForward(gpu, options, [q.buffer, k.buffer, v.buffer], false);
}

/** As {@link rowsForward}, for up to 40 queries a workgroup, from texels. */
export function rowsFromTexelsForward(gpu: Gpu, options: AttentionForward): void {
  const { batch, queries, keys, q, k, v } = options;
  withScratch(gpu, forwardKernel.name, (hold) => {
    // Queries, keys and values from one projection are one matrix, and copied once.
    const copied: { readonly section: Section; readonly tokens: number; readonly texels: GpuTexture }[] = [];
    const texelsOf = (section: Section, tokens: number) => {
      const { buffer, stride } = section;
      const same = copied.find(
        (one) => one.section.buffer === buffer && one.section.stride === stride && one.tokens === tokens,
      );
      if (same) return same.texels;
      const texels = hold(copyToTexture(gpu, buffer, linesOf(section, batch, tokens)));
      copied.push({ section, tokens, texels });
      return texels;
    };
    launchForward(gpu, options, [texelsOf(q, queries), texelsOf(k, keys), texelsOf(v, keys)], true);
  });
}

function launchForward(
  gpu: Gpu,
  options: AttentionForward,
  operands: readonly GpuStorage[],
  texels: boolean,
): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, lse, mask, end } = options;
  const sizes = tiling(gpu, options, texels)!;
  gpu.run(forwardKernel, {
    constants: {
      ...{ ...maskConstants(options), LSE: Number(Boolean(lse)) },
      ...{ ...sizes, TEXTURES: Number(texels) },
    },
    buffers: [...operands, ...(mask === 'tree' ? [end!] : []), out, ...(lse ? [lse] : [])],
    params: [queries, keys, heads, headDim / 4, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
    groups: [Math.ceil(queries / (8 * sizes.ROWS_PER_LANE)), heads, batch],
  });
}

/** P and dS by tiles into memory, then dQ = scale·dS·K, dK = scale·dSᵀ·Q and dV = Pᵀ·dO. */
export function rowsBackward(gpu: Gpu, options: AttentionBackward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, dOut, dq, dk, dv, end, lse, mask } = options;
  const line = Math.ceil(keys / 4);
  withScratch(gpu, gradientKernel.name, (hold) => {
    const delta = hold(gpu.pool.allocate(batch * heads * queries * 4));
    const p = hold(gpu.pool.allocate(batch * heads * queries * line * 16));
    const dS = hold(gpu.pool.allocate(batch * heads * queries * line * 16));
    attentionDelta(gpu, options, out, dOut, delta);
    gpu.run(gradientKernel, {
      constants: maskConstants(options),
      buffers: [q.buffer, k.buffer, v.buffer, dOut, lse, delta, ...(mask === 'tree' ? [end!] : []), p, dS],
      params: [queries, keys, heads, headDim / 4, line, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
      groups: [Math.ceil(keys / 32), Math.ceil(queries / 16), batch * heads],
    });
    const product = (m: GpuBuffer, transposed: boolean, x: Section, y: Section, scale: number) => {
      const [rows, columns] = transposed ? [keys, queries] : [queries, keys];
      const ends = mask === 'tree' && transposed ? [end!] : [];
      gpu.run(productKernel, {
        constants: { ...maskConstants(options), TRANSPOSED: Number(transposed) },
        buffers: [m, x.buffer, ...ends, y.buffer],
        params: [rows, columns, heads, headDim / 4, line, ...inVec4(x, y), scale],
        groups: [Math.ceil(headDim / 32), Math.ceil(rows / 16), batch * heads],
      });
    };
    product(dS, false, k, dq, scaleOf(options));
    product(dS, true, q, dk, scaleOf(options));
    product(p, true, { buffer: dOut, offset: 0, stride: heads * headDim }, dv, 1);
  });
}
