import forwardSource from '../../../shaders/attention_simd.wgsl';
import backwardSource from '../../../shaders/attention_simd_backward.wgsl';
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
import { subgroupIsVector } from '../subgroup-vector.ts';
import { attentionDelta, deltaSource } from './delta.ts';
import {
  type AttentionForward,
  type AttentionShape,
  type AttentionSizes,
  type BackwardVariant,
  endBuffers,
  type ForwardVariant,
  inVec4,
  maskNumbers,
  type StridedView,
  scaleOf,
} from './shape.ts';

/** Keys that a workgroup has room for; each size is a pipeline, hence so few. The first holds the 197 tokens of ViT-B/16. */
const rooms = [200, 256, 512, 1024];

/**
 * Rows of a lane, its keys in a tile, and a workgroup's room in vec4 a row; undefined where not one row a lane fits. Under a mask,
 * tiles of fewer rows skip more of what none of them sees; loads from buffers are so much code that large tiles do not pay.
 */
function tiling(gpu: Gpu, { queries, keys, mask }: AttentionSizes, textures: boolean) {
  const room = rooms.find((r) => r >= keys);
  if (!room) return undefined;
  const fitting = Math.floor(gpu.limits.maxComputeWorkgroupStorageSize / (8 * room * 4));
  const rowsPerLane = Math.min(textures && mask === 'none' ? 5 : 2, Math.ceil(queries / 8), fitting);
  if (rowsPerLane === 0) return undefined;
  // Five keys a lane, where they leave less of the last tile empty (200 for 197 tokens, not 224).
  const covered = (keysPerLane: number) => Math.ceil(keys / (8 * keysPerLane)) * 8 * keysPerLane;
  const keysPerLane = textures && mask === 'none' && covered(5) <= covered(4) ? 5 : 4;
  return { ROWS_PER_LANE: rowsPerLane, KEYS_PER_LANE: keysPerLane, ROOM: room / 4 };
}

const forwardKernel = { name: 'attention_simd', source: forwardSource };
const backwardKernel = { name: 'attention_simd_backward', source: backwardSource };
const productKernel = { name: 'attention_simd_product', source: productSource };

/** Subgroups of 8 or 16, vec4 loads, and rows that fit into workgroup memory. */
const applies = (gpu: Gpu, shape: AttentionShape): boolean =>
  subgroupIsVector(gpu) &&
  gpu.limits.maxStorageBuffersPerShaderStage >= 9 &&
  shape.aligned &&
  tiling(gpu, shape, false) !== undefined;

/** The first choice on a processor. */
const cost = ({ adapter }: Gpu): number => (adapter.software ? 1 : 2);

/** One workgroup for 8 to 40 queries of a head, whose scores never leave workgroup memory. */
export const simd: ForwardVariant = {
  name: 'simd',
  sources: [...textureSources, forwardSource],
  applies,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, q, k, v } = options;
    if (!readsTextures(gpu, options)) {
      launchForward(gpu, options, [q.buffer, k.buffer, v.buffer], false);
      return;
    }
    withScratch(gpu, forwardKernel.name, (hold) => {
      // Queries, keys and values from one projection are one matrix, and copied once.
      const copies: { readonly view: StridedView; readonly tokens: number; readonly texture: GpuTexture }[] =
        [];
      const textureOf = (view: StridedView, tokens: number) => {
        const { buffer, stride } = view;
        const same = copies.find(
          (one) => one.view.buffer === buffer && one.view.stride === stride && one.tokens === tokens,
        );
        if (same) return same.texture;
        const texture = hold(copyToTexture(gpu, buffer, matrixOf(view, batch, tokens)));
        copies.push({ view, tokens, texture });
        return texture;
      };
      launchForward(gpu, options, [textureOf(q, queries), textureOf(k, keys), textureOf(v, keys)], true);
    });
  },
};

/** A view's buffer as rows of its stride, all tokens below one another. */
const matrixOf = ({ stride }: StridedView, batch: number, tokens: number): Matrix => ({
  rows: batch * tokens,
  length: stride,
});

/** Whether keys and values are read often enough to copy them to textures, and the driver can do that. */
function readsTextures(
  gpu: Gpu,
  { batch, queries, keys, heads, headDim, q, k, v }: AttentionForward,
): boolean {
  const matrices = [matrixOf(q, batch, queries), matrixOf(k, batch, keys), matrixOf(v, batch, keys)];
  const within = ({ offset, stride }: StridedView) => offset + heads * headDim <= stride;
  return (
    queries > 8 && canReadTextures(gpu, ...matrices) && matrices.every(isCopyable) && [q, k, v].every(within)
  );
}

function launchForward(
  gpu: Gpu,
  options: AttentionForward,
  operands: readonly GpuStorage[],
  textures: boolean,
): void {
  const { batch, queries, keys, heads, headDim, mask, q, k, v, out, lse } = options;
  const sizes = tiling(gpu, options, textures)!;
  gpu.run(forwardKernel, {
    constants: {
      MASK: maskNumbers[mask],
      LSE: Number(Boolean(lse)),
      TEXTURES: Number(textures),
      ...sizes,
    },
    buffers: [...operands, ...endBuffers(options), out, ...(lse ? [lse] : [])],
    params: [queries, keys, heads, headDim / 4, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
    groups: [Math.ceil(queries / (8 * sizes.ROWS_PER_LANE)), heads, batch],
  });
}

/** P and dS by tiles into memory, then dQ = scale·dS·K, dK = scale·dSᵀ·Q and dV = Pᵀ·dO. */
export const simdBackward: BackwardVariant = {
  name: 'simd',
  sources: [deltaSource, backwardSource, productSource],
  applies,
  cost,

  launch(gpu, options) {
    const { batch, queries, keys, heads, headDim, mask, q, k, v, dOut, dq, dk, dv, lse } = options;
    const MASK = maskNumbers[mask];
    const line = Math.ceil(keys / 4);
    withScratch(gpu, backwardKernel.name, (hold) => {
      const delta = hold(gpu.pool.allocate(batch * heads * queries * 4));
      const p = hold(gpu.pool.allocate(batch * heads * queries * line * 16));
      const dS = hold(gpu.pool.allocate(batch * heads * queries * line * 16));
      attentionDelta(gpu, options, delta);
      gpu.run(backwardKernel, {
        constants: { MASK },
        buffers: [q.buffer, k.buffer, v.buffer, dOut, lse, delta, ...endBuffers(options), p, dS],
        params: [queries, keys, heads, headDim / 4, line, ...inVec4(q, k, v), scaleOf(options) * Math.LOG2E],
        groups: [Math.ceil(keys / 32), Math.ceil(queries / 16), batch * heads],
      });
      const product = (m: GpuBuffer, transposed: boolean, x: StridedView, y: StridedView, scale: number) => {
        const [rows, columns] = transposed ? [keys, queries] : [queries, keys];
        gpu.run(productKernel, {
          constants: { MASK, TRANSPOSED: Number(transposed) },
          buffers: [m, x.buffer, ...(transposed ? endBuffers(options) : []), y.buffer],
          params: [rows, columns, heads, headDim / 4, line, ...inVec4(x, y), scale],
          groups: [Math.ceil(headDim / 32), Math.ceil(rows / 16), batch * heads],
        });
      };
      product(dS, false, k, dq, scaleOf(options));
      product(dS, true, q, dk, scaleOf(options));
      product(p, true, { buffer: dOut, offset: 0, stride: heads * headDim }, dv, 1);
    });
  },
};
