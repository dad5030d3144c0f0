import { plainBackward, plainForward } from './attention-plain.ts';
import { rowsApply, rowsBackward, rowsForward } from './attention-rows.ts';
import { sharedApplies, sharedBackward, sharedForward } from './attention-shared.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

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
 * memory, for software adapters.
 */
export const attentionVariants = ['plain', 'shared', 'rows'] as const;
export type AttentionVariant = (typeof attentionVariants)[number];

/** Which variants can compute this, the preferred one last. */
export function applicableAttention(
  gpu: Gpu,
  shape: AttentionShape,
  sections: readonly Section[],
): AttentionVariant[] {
  const variants: AttentionVariant[] = ['plain'];
  if (rowsApply(gpu, shape, sections)) variants.push('rows');
  if (sharedApplies(shape, sections))
    variants.splice(gpu.adapter.software ? 1 : variants.length, 0, 'shared');
  return variants;
}

/** out = softmax(scale·q·kᵀ, over the keys that a query sees)·v for every head and batch entry. */
export function attentionForward(gpu: Gpu, options: AttentionForward): void {
  const { q, k, v } = options;
  const variant = options.variant ?? applicableAttention(gpu, options, [q, k, v]).at(-1)!;
  forward[variant](gpu, options);
}

/** The gradients of q, k and v from that of the output; P is recomputed from the saved log-sum-exp. */
export function attentionBackward(gpu: Gpu, options: AttentionBackward): void {
  const { q, k, v, dq, dk, dv } = options;
  if (dk.buffer !== dv.buffer) throw new Error('dk and dv must be sections of one buffer');
  const variant = options.variant ?? applicableAttention(gpu, options, [q, k, v, dq, dk, dv]).at(-1)!;
  backward[variant](gpu, options);
}

const forward = { plain: plainForward, shared: sharedForward, rows: rowsForward };
const backward = { plain: plainBackward, shared: sharedBackward, rows: rowsBackward };
