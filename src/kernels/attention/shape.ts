import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Variant } from '../variant.ts';

/** A matrix in part of a buffer, as q, k, v and their gradients are: rows `stride` elements apart, the first at `offset`. */
export interface StridedView {
  readonly buffer: GpuBuffer;
  readonly offset: number;
  readonly stride: number;
}

/** 'causal': query i sees keys j ≤ i. 'tree': those with j ≤ i < end[j], its ancestors where rows are a preorder. */
export type AttentionMask = 'none' | 'causal' | 'tree';

export interface AttentionSizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly headDim: number;
  readonly mask: AttentionMask;
}

/** What decides which variant computes attention. */
export interface AttentionShape extends AttentionSizes {
  /** Every vector of a head starts at a multiple of 4 elements, as the fused kernels' vec4 loads need; in the gradients, too. */
  readonly aligned: boolean;
  /** All gradients are views of one buffer. */
  readonly gradientsTogether: boolean;
}

/** What both directions of a variant are. */
export type ForwardVariant = Variant<AttentionShape, AttentionForward>;
export type BackwardVariant = Variant<AttentionShape, AttentionBackward>;

/** q is [batch, queries, heads·headDim], k and v are [batch, keys, heads·headDim], each a view of some buffer. */
export interface AttentionInputs {
  readonly q: StridedView;
  readonly k: StridedView;
  readonly v: StridedView;
}

/** What both directions need to know. */
export interface AttentionOptions extends AttentionInputs, AttentionSizes {
  /** For 'tree', u32[keys]: the row after the last of j's subtree; the same for every batch entry. */
  readonly end?: GpuBuffer | undefined;
  /** By default 1/√headDim. */
  readonly scale?: number;
  /** Runs this variant, which must be one that applies, instead of the measured or default one. */
  readonly variant?: string;
}

export interface AttentionForward extends AttentionOptions {
  /** [batch, queries, heads·headDim] */
  readonly out: GpuBuffer;
  /** [batch, heads, queries]: log Σ exp of each row of scores, which the gradient needs. */
  readonly lse?: GpuBuffer | undefined;
}

export interface AttentionBackward extends AttentionOptions {
  readonly out: GpuBuffer;
  readonly lse: GpuBuffer;
  /** [batch, queries, heads·headDim] */
  readonly dOut: GpuBuffer;
  readonly dq: StridedView;
  /** dk and dv must be views of one buffer, which may also be that of dq. */
  readonly dk: StridedView;
  readonly dv: StridedView;
}

/** The shape of attention on these views: q, k and v, and their gradients in the backward pass. */
export function shapeOf(
  sizes: AttentionSizes,
  views: readonly StridedView[],
  gradients: readonly StridedView[] = [],
): AttentionShape {
  const { batch, queries, keys, heads, headDim, mask } = sizes;
  const aligned = [...views, ...gradients].every(
    ({ offset, stride }) => (headDim | offset | stride) % 4 === 0,
  );
  const gradientsTogether = gradients.every(({ buffer }) => buffer === gradients[0]!.buffer);
  return { batch, queries, keys, heads, headDim, mask, aligned, gradientsTogether };
}

/** The MASK constant of the attention kernels, as lib_attention_mask.wgsl numbers the masks. */
export const maskNumbers = { none: 0, causal: 1, tree: 2 } as const;

/** The binding that only a tree has. */
export function endBuffers({ mask, end }: AttentionOptions): GpuBuffer[] {
  if (mask !== 'tree') return [];
  if (!end) throw new Error('attention over a tree needs the ends of its subtrees');
  return [end];
}

export function scaleOf({ scale, headDim }: Pick<AttentionOptions, 'scale' | 'headDim'>): number {
  return scale ?? headDim ** -0.5;
}

/** Offset and stride of each view in vec4, as the fused kernels' parameters have them. */
export function inVec4(...views: readonly StridedView[]): number[] {
  const numbers: number[] = [];
  for (const { offset, stride } of views) numbers.push(offset / 4, stride / 4);
  return numbers;
}
