import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { choose, sourceVersion } from '../device/tuning.ts';
import { sharedApplies, sharedBackward, sharedForward, sharedSources } from './flash.ts';
import { plainBackward, plainForward, plainSources } from './naive.ts';
import type {
  AttentionBackward,
  AttentionForward,
  AttentionShape,
  AttentionVariant,
  Section,
} from './shape.ts';
import {
  rowsApply,
  rowsBackward,
  rowsForward,
  rowsFromTexelsApply,
  rowsFromTexelsForward,
  rowsSources,
  worthTexels,
} from './simd.ts';

export {
  type AttentionBackward,
  type AttentionForward,
  type AttentionInputs,
  type AttentionMask,
  type AttentionShape,
  type AttentionVariant,
  attentionVariants,
  type Section,
} from './shape.ts';

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
  if (dk.buffer !== dv.buffer) throw new Error('dk and dv must be views of one buffer');
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
