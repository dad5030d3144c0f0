import { plainBackward, plainForward, plainSources } from './attention-plain.ts';
import {
  rowsApply,
  rowsBackward,
  rowsForward,
  rowsFromTexelsApply,
  rowsFromTexelsForward,
  rowsSources,
  worthTexels,
} from './attention-rows.ts';
import { sharedApplies, sharedBackward, sharedForward, sharedSources } from './attention-shared.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { choose, sourceVersion } from './tuning.ts';

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

/** Which variants can compute this, the preferred one last. */
export function applicableAttention(
  gpu: Gpu,
  shape: AttentionShape,
  sections: readonly Section[],
): AttentionVariant[] {
  const variants: AttentionVariant[] = ['plain'];
  if (rowsApply(gpu, shape, sections)) {
    variants.push('rows');
    if (rowsFromTexelsApply(gpu, shape, sections)) variants.push('texels');
  }
  if (sharedApplies(shape, sections))
    variants.splice(gpu.adapter.software ? 1 : variants.length, 0, 'shared');
  return variants;
}

/** The rule of thumb where nothing was measured. */
function byRule(gpu: Gpu, shape: AttentionShape, variants: readonly AttentionVariant[]): AttentionVariant {
  const { batch, heads, queries, keys, headDim } = shape;
  // Below a fraction of a millisecond of work, compiling large kernels (seconds on software adapters) never pays.
  if (gpu.adapter.software && batch * heads * queries * keys * headDim < 65536) return 'plain';
  const preferred = variants.at(-1)!;
  return preferred === 'texels' && !worthTexels(shape) ? 'rows' : preferred;
}

const sources = [...plainSources, ...sharedSources, ...rowsSources];
const families = {
  forward: { name: 'attention', version: sourceVersion(...sources) },
  gradient: { name: 'attention_gradient', version: sourceVersion(...sources) },
};

/** The measured variant, else the rule's. A trial runs on dense sections; one of a tree runs as causal, without ends. */
function chosen(
  gpu: Gpu,
  direction: keyof typeof families,
  { batch, queries, keys, heads, headDim, mask }: AttentionShape,
  sections: readonly Section[],
): AttentionVariant {
  const shape = {
    ...{ batch, queries, keys, heads, headDim },
    mask: mask === 'none' ? mask : ('causal' as const),
  };
  const variants = applicableAttention(gpu, shape, sections);
  const rule = byRule(gpu, shape, variants);
  const key = `${batch}x${heads} ${queries}x${keys}x${headDim} ${shape.mask}`;
  return choose(gpu, families[direction], key, variants, rule, () => {
    const width = heads * headDim;
    const [ofQueries, ofKeys] = [batch * queries * width, batch * keys * width];
    const dense = (buffer: GpuBuffer, offset = 0) => ({ buffer, offset, stride: width });
    const gradient = direction === 'gradient';
    const lengths = [ofQueries, ofKeys, ofKeys];
    if (gradient) lengths.push(ofQueries, ofQueries, batch * heads * queries);
    return {
      inputs: lengths.map((elements) => ({ elements, type: 'f32' as const })),
      output: gradient ? ofQueries + 2 * ofKeys : ofQueries,
      reference: 'plain',
      tolerance: 1e-4,
      run: (name, inputs, output) => {
        const variant = name as AttentionVariant;
        const [q, k, v, out, dOut, lse] = inputs as GpuBuffer[];
        const tensors = { ...shape, variant, q: dense(q!), k: dense(k!), v: dense(v!) };
        if (!gradient) forward[variant](gpu, { ...tensors, out: output });
        else
          backward[variant](gpu, {
            ...{ ...tensors, out: out!, dOut: dOut!, lse: lse! },
            ...{ dq: dense(output), dk: dense(output, ofQueries), dv: dense(output, ofQueries + ofKeys) },
          });
      },
    };
  }) as AttentionVariant;
}

/** out = softmax(scale·q·kᵀ, over the keys that a query sees)·v for every head and batch entry. */
export function attentionForward(gpu: Gpu, options: AttentionForward): void {
  const { q, k, v } = options;
  const variant = options.variant ?? chosen(gpu, 'forward', options, [q, k, v]);
  forward[variant](gpu, options);
}

/** The gradients of q, k and v from that of the output; P is recomputed from the saved log-sum-exp. */
export function attentionBackward(gpu: Gpu, options: AttentionBackward): void {
  const { q, k, v, dq, dk, dv } = options;
  if (dk.buffer !== dv.buffer) throw new Error('dk and dv must be sections of one buffer');
  const variant = options.variant ?? chosen(gpu, 'gradient', options, [q, k, v, dq, dk, dv]);
  backward[variant](gpu, options);
}

const forward = {
  plain: plainForward,
  shared: sharedForward,
  rows: rowsForward,
  texels: rowsFromTexelsForward,
};
const backward = {
  plain: plainBackward,
  shared: sharedBackward,
  rows: rowsBackward,
  texels: rowsBackward,
};
