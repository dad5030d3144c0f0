import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { type FamilyTrial, family } from '../variant.ts';
import { flash, flashBackward } from './flash.ts';
import { naive, naiveBackward } from './naive.ts';
import {
  type AttentionBackward,
  type AttentionForward,
  type AttentionInputs,
  type AttentionShape,
  type AttentionSizes,
  shapeOf,
} from './shape.ts';
import { simd, simdBackward } from './simd.ts';

export type {
  AttentionBackward,
  AttentionForward,
  AttentionInputs,
  AttentionMask,
  AttentionSizes,
  StridedView,
} from './shape.ts';

const key = ({ batch, heads, queries, keys, headDim, mask }: AttentionShape): string =>
  `${batch}x${heads} ${queries}x${keys}x${headDim} ${mask === 'none' ? mask : 'causal'}`;

/** What a trial computes: dense views, and for a tree a causal mask, which takes no ends of subtrees. */
function trialOf({ batch, queries, keys, heads, headDim, mask }: AttentionShape) {
  const width = heads * headDim;
  return {
    sizes: { batch, queries, keys, heads, headDim, mask: mask === 'none' ? mask : ('causal' as const) },
    /** Elements of q and of k or v. */
    counts: [batch * queries * width, batch * keys * width] as const,
    dense: (buffer: GpuBuffer | undefined, offset = 0) => ({ buffer: buffer!, offset, stride: width }),
    floats: (...counts: readonly number[]) => counts.map((elements) => ({ elements, type: 'f32' as const })),
  };
}

const forward = family<AttentionShape, AttentionForward>({
  name: 'attention',
  variants: [naive, flash, simd],
  key,
  trial(shape): FamilyTrial<AttentionShape, AttentionForward> {
    const { sizes, counts, dense, floats } = trialOf(shape);
    const [ofQueries, ofKeys] = counts;
    return {
      inputs: floats(ofQueries, ofKeys, ofKeys),
      output: ofQueries,
      args: ([q, k, v], out) => ({ q: dense(q), k: dense(k), v: dense(v), out, ...sizes }),
    };
  },
});

const backward = family<AttentionShape, AttentionBackward>({
  name: 'attention_backward',
  variants: [naiveBackward, flashBackward, simdBackward],
  key,
  trial(shape): FamilyTrial<AttentionShape, AttentionBackward> {
    const { sizes, counts, dense, floats } = trialOf(shape);
    const [ofQueries, ofKeys] = counts;
    return {
      inputs: floats(
        ofQueries,
        ofKeys,
        ofKeys,
        ofQueries,
        ofQueries,
        shape.batch * shape.heads * shape.queries,
      ),
      output: ofQueries + 2 * ofKeys,
      args: ([q, k, v, out, dOut, lse], gradient) => ({
        q: dense(q),
        k: dense(k),
        v: dense(v),
        out: out!,
        dOut: dOut!,
        lse: lse!,
        dq: dense(gradient),
        dk: dense(gradient, ofQueries),
        dv: dense(gradient, ofQueries + ofKeys),
        ...sizes,
      }),
    };
  },
});

/** Of all variants, those that few adapters take included. */
export const attentionVariants = forward.names;

/** Which variants can compute this in both directions, if the gradients lie as q, k and v do. */
export function applicableAttention(gpu: Gpu, options: AttentionInputs & AttentionSizes): string[] {
  const { q, k, v } = options;
  return forward.variants(gpu, shapeOf(options, q, k, v)).map(({ name }) => name);
}

/** out = softmax(scale·q·kᵀ, over the keys that a query sees)·v for every head and batch entry. */
export function attentionForward(gpu: Gpu, options: AttentionForward): void {
  const { q, k, v, variant } = options;
  forward.run(gpu, options, shapeOf(options, q, k, v), variant);
}

/** The gradients of q, k and v from that of the output; P is recomputed from the saved log-sum-exp. */
export function attentionBackward(gpu: Gpu, options: AttentionBackward): void {
  const { q, k, v, dq, dk, dv, variant } = options;
  if (dk.buffer !== dv.buffer) throw new Error('dk and dv must be views of one buffer');
  backward.run(gpu, options, shapeOf(options, q, k, v, dq, dk, dv), variant);
}
