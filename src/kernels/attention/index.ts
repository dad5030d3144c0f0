import type { Gpu } from '../device/gpu.ts';
import { classOf } from '../device/tuning.ts';
import { family } from '../variant.ts';
import { flash, flashBackward } from './flash.ts';
import { headBackward } from './head.ts';
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
import { backwardTrial, forwardTrial } from './trial.ts';

export type {
  AttentionBackward,
  AttentionForward,
  AttentionInputs,
  AttentionMask,
  AttentionSizes,
  StridedView,
} from './shape.ts';

const key = ({ batch, heads, queries, keys, headDim, mask }: AttentionShape): string =>
  `${classOf(batch)}x${heads} ${queries}x${keys}x${headDim} ${mask === 'none' ? mask : 'causal'}`;

const forward = family<AttentionShape, AttentionForward>({
  name: 'attention',
  variants: [naive, ...flash, simd],
  key,
  trial: forwardTrial,
});

const backward = family<AttentionShape, AttentionBackward>({
  name: 'attention_backward',
  variants: [naiveBackward, ...flashBackward, headBackward, simdBackward],
  key,
  trial: backwardTrial,
});

/** Of all variants, those that few adapters take included. */
export const attentionVariants = forward.names;
/** Those of the gradients, some of which have no forward pass of their own. */
export const attentionGradientVariants = backward.names;

/** Which variants can compute this, if the gradients lie as q, k and v do. */
export function applicableAttention(gpu: Gpu, options: AttentionInputs & AttentionSizes): string[] {
  const { q, k, v } = options;
  return forward.variants(gpu, shapeOf(options, [q, k, v])).map(({ name }) => name);
}

/** As {@link applicableAttention}, of the gradients. */
export function applicableAttentionGradients(gpu: Gpu, options: AttentionInputs & AttentionSizes): string[] {
  const { q, k, v } = options;
  return backward.variants(gpu, shapeOf(options, [q, k, v], [q, k, v])).map(({ name }) => name);
}

/** out = softmax(scale·q·kᵀ, over the keys that a query sees)·v for every head and batch entry. */
export function attentionForward(gpu: Gpu, options: AttentionForward): void {
  const { q, k, v, variant } = options;
  forward.run(gpu, options, shapeOf(options, [q, k, v]), variant);
}

/** The gradients of q, k and v from that of the output; P is recomputed from the saved log-sum-exp. */
export function attentionBackward(gpu: Gpu, options: AttentionBackward): void {
  const { q, k, v, dq, dk, dv, variant } = options;
  if (dk.buffer !== dv.buffer) throw new Error('dk and dv must be views of one buffer');
  backward.run(gpu, options, shapeOf(options, [q, k, v], [dq, dk, dv]), variant);
}
