import type { GpuBuffer } from '../device/buffer-pool.ts';

/** One of q, k, v or their gradients: rows of heads·headDim elements, `stride` apart, the first at `offset`; in elements. */
export interface Section {
  readonly buffer: GpuBuffer;
  readonly offset: number;
  readonly stride: number;
}

/** 'causal': query i sees keys j ≤ i. 'tree': those with j ≤ i < end[j], its ancestors where rows are a preorder. */
export type AttentionMask = 'none' | 'causal' | 'tree';

export interface AttentionShape {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly headDim: number;
  readonly mask: AttentionMask;
  /** For 'tree', u32[keys]: the row after the last of j's subtree; the same for every batch entry. */
  readonly end?: GpuBuffer | undefined;
  /** By default 1/√headDim. */
  readonly scale?: number;
}

/** q is [batch, queries, heads·headDim], k and v are [batch, keys, heads·headDim], each a section of some buffer. */
export interface AttentionInputs {
  readonly q: Section;
  readonly k: Section;
  readonly v: Section;
}

export interface AttentionForward extends AttentionInputs, AttentionShape {
  /** [batch, queries, heads·headDim] */
  readonly out: GpuBuffer;
  /** [batch, heads, queries]: log Σ exp of each row of scores, which the gradient needs. */
  readonly lse?: GpuBuffer | undefined;
  readonly variant?: AttentionVariant;
}

export interface AttentionBackward extends AttentionInputs, AttentionShape {
  readonly out: GpuBuffer;
  readonly lse: GpuBuffer;
  /** [batch, queries, heads·headDim] */
  readonly dOut: GpuBuffer;
  readonly dq: Section;
  /** dk and dv must be sections of one buffer, which may also be that of dq. */
  readonly dk: Section;
  readonly dv: Section;
  readonly variant?: AttentionVariant;
}

/**
 * 'plain': scores in memory, any head size, the oracle. 'shared': fused, tiles of keys in workgroup
 * memory, online softmax, for real GPUs. 'rows': fused, register tiles of one subgroup, whole rows of scores in workgroup
 * memory, for software adapters. 'texels': the same, its forward pass from texels.
 */
export const attentionVariants = ['plain', 'shared', 'rows', 'texels'] as const;
export type AttentionVariant = (typeof attentionVariants)[number];

/** The MASK constant of the attention kernels, as lib_attention_mask.wgsl numbers the masks. */
export function maskConstants({ mask }: AttentionShape): { MASK: number } {
  return { MASK: { none: 0, causal: 1, tree: 2 }[mask] };
}

export function scaleOf({ scale, headDim }: AttentionShape): number {
  return scale ?? headDim ** -0.5;
}

/** Offset and stride of each section in vec4, as the fused kernels' parameters have them. */
export function inVec4(...sections: readonly Section[]): number[] {
  return sections.flatMap(({ offset, stride }) => [offset / 4, stride / 4]);
}

/** Whether every vector of a head starts at a multiple of 4 elements, as the fused kernels' vec4 loads need. */
export function aligned({ headDim }: AttentionShape, sections: readonly Section[]): boolean {
  return headDim % 4 === 0 && sections.every(({ offset, stride }) => offset % 4 === 0 && stride % 4 === 0);
}
