import source from '../../shaders/attention_texels.wgsl';
import type { AttentionForward, AttentionShape, Section } from './attention.ts';
import { maskConstants, scaleOf } from './attention-plain.ts';
import type { GpuTexels } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { asTexels, copies, type Lines, texelSources, texelsApply } from './texels.ts';
import { f32 } from './wgsl.ts';

/** What this variant's results depend on. */
export const attentionTexelSources = [...texelSources, source];

const kernel = { name: 'attention_texels', source };

/** Keys that a workgroup has room for; each size is a pipeline, hence so few. The first holds the 197 tokens of ViT-B/16. */
const rooms = [200, 256, 512, 1024];

/** Rows a lane takes, at most; under a mask, tiles of fewer rows skip more of what none of them sees. */
const most = { none: 5, masked: 2 };

/** Rows of a lane, its keys in a tile, and a workgroup's room in vec4 a row; undefined where not one row a lane fits. */
function tiling(gpu: Gpu, { queries, keys, mask }: AttentionShape) {
  const room = rooms.find((r) => r >= keys);
  if (!room) return undefined;
  const fitting = Math.floor(gpu.limits.maxComputeWorkgroupStorageSize / (8 * room * 4));
  const own = Math.min(mask === 'none' ? most.none : most.masked, Math.ceil(queries / 8), fitting);
  if (own === 0) return undefined;
  // Five keys a lane, where they leave less of the last tile empty (200 for 197 tokens, not 224); under a mask, smaller tiles.
  const covered = (tile: number) => Math.ceil(keys / (8 * tile)) * 8 * tile;
  const tile = mask === 'none' && covered(5) <= covered(4) ? 5 : 4;
  return { OWN: own, TILE: tile, BLOCK: own * Math.max(2 * tile, 8), KEYS4: room / 4 };
}

/** A section's buffer as lines of its stride, all tokens below one another. */
const linesOf = ({ stride }: Section, batch: number, tokens: number): Lines => ({
  rows: batch * tokens,
  length: stride,
});

/** Whether the forward pass can run, where that of 'rows' can: from lines that the driver copies. */
export function attentionTexelsApply(
  gpu: Gpu,
  shape: AttentionShape,
  [q, k, v]: readonly Section[],
): boolean {
  const { batch, queries, keys, heads, headDim } = shape;
  if (!q || !k || !v || !tiling(gpu, shape)) return false;
  const lines = [linesOf(q, batch, queries), linesOf(k, batch, keys), linesOf(v, batch, keys)];
  const within = ({ offset, stride }: Section) => offset + heads * headDim <= stride;
  return texelsApply(gpu, ...lines) && lines.every(copies) && [q, k, v].every(within);
}

/** Whether keys and values are read often enough for the copy to pay. */
export const worthTexels = ({ queries }: AttentionShape): boolean => queries > 8;

/** One workgroup for 40 (or fewer) queries of a head, whose scores never leave workgroup memory. */
export function texelsForward(gpu: Gpu, options: AttentionForward): void {
  const { batch, queries, keys, heads, headDim, q, k, v, out, lse, mask, end } = options;
  const sizes = tiling(gpu, options)!;
  // Queries, keys and values from one projection are one matrix, and copied once.
  const copied: { section: Section; tokens: number; texels: GpuTexels }[] = [];
  const texelsOf = (section: Section, tokens: number) => {
    const { buffer, stride } = section;
    const same = copied.find(
      (one) => one.section.buffer === buffer && one.section.stride === stride && one.tokens === tokens,
    );
    if (same) return same.texels;
    const texels = asTexels(gpu, { buffer, ...linesOf(section, batch, tokens) });
    copied.push({ section, tokens, texels });
    return texels;
  };
  const operands = [texelsOf(q, queries), texelsOf(k, keys), texelsOf(v, keys)];
  gpu.run(kernel, {
    constants: { ...maskConstants(options), LSE: Number(Boolean(lse)), ...sizes },
    buffers: [...operands, ...(mask === 'tree' ? [end!] : []), out, ...(lse ? [lse] : [])],
    params: [
      ...[queries, keys, heads, headDim / 4, q.offset / 4, k.offset / 4, v.offset / 4],
      f32(scaleOf(options) * Math.LOG2E),
    ],
    groups: [Math.ceil(queries / (8 * sizes.OWN)), heads, batch],
  });
  for (const { texels } of copied) gpu.pool.release(texels);
}
