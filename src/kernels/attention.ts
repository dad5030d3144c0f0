import mixSource from '../../shaders/attention_mix.wgsl';
import scoresSource from '../../shaders/attention_scores.wgsl';
import softmaxSource from '../../shaders/attention_softmax.wgsl';
import softmaxDxSource from '../../shaders/attention_softmax_dx.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

const scoresKernel = { name: 'attention_scores', source: scoresSource };
const softmaxKernel = { name: 'attention_softmax', source: softmaxSource };
const softmaxDxKernel = { name: 'attention_softmax_dx', source: softmaxDxSource };
const mixKernel = { name: 'attention_mix', source: mixSource };

/** Vectors of all heads of a token, [batch, tokens, heads · dim], inside a buffer of wider rows (such as q ++ k ++ v). */
export interface Section {
  readonly buffer: GpuBuffer;
  /** Elements to the first token's vector, and from token to token. */
  readonly offset: number;
  readonly stride: number;
}

export interface AttentionShape {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly headDim: number;
  /** 'tree': query i sees key j if j ≤ i < end[j]; the rows are a prefix tree in depth-first preorder. */
  readonly mask: 'none' | 'causal' | 'tree';
  /** u32 [keys], with mask 'tree'. */
  readonly end?: GpuBuffer;
}

/** out [batch, queries, heads · headDim] = softmax(q·kᵀ / √headDim)·v per head; `probabilities` [batch, heads, queries, keys] is left for the gradient. */
export function attentionForward(
  gpu: Gpu,
  shape: AttentionShape,
  {
    q,
    k,
    v,
    out,
    probabilities,
  }: { q: Section; k: Section; v: Section; out: GpuBuffer; probabilities: GpuBuffer },
): void {
  const { heads, headDim } = shape;
  scores(gpu, shape, q, k, probabilities, headDim ** -0.5);
  softmax(gpu, shape, probabilities);
  mix(gpu, shape, probabilities, v, { buffer: out, offset: 0, stride: heads * headDim }, false);
}

/** Gradients by q, k and v, each written into its section; `dout` is [batch, queries, heads · headDim]. */
export function attentionBackward(
  gpu: Gpu,
  shape: AttentionShape,
  tensors: {
    readonly q: Section;
    readonly k: Section;
    readonly v: Section;
    readonly probabilities: GpuBuffer;
    readonly dout: GpuBuffer;
    readonly dq: Section;
    readonly dk: Section;
    readonly dv: Section;
  },
): void {
  const { batch, queries, keys, heads, headDim } = shape;
  const { q, k, v, probabilities, dout, dq, dk, dv } = tensors;
  const dOut = { buffer: dout, offset: 0, stride: heads * headDim };
  mix(gpu, shape, probabilities, dOut, dv, true);
  const dScores = gpu.pool.allocate(4 * batch * heads * queries * keys);
  scores(gpu, shape, dOut, v, dScores, 1);
  const total = batch * heads * queries;
  gpu.run(softmaxDxKernel, {
    buffers: [probabilities, dScores],
    params: [total, keys, f32(headDim ** -0.5)],
    groups: [Math.ceil(total / 32)],
  });
  mix(gpu, shape, dScores, k, dq, false);
  mix(gpu, shape, dScores, q, dk, true);
  gpu.pool.release(dScores);
}

function scores(
  gpu: Gpu,
  shape: AttentionShape,
  x: Section,
  y: Section,
  out: GpuBuffer,
  factor: number,
): void {
  const { batch, queries, keys, heads, headDim } = shape;
  gpu.run(scoresKernel, {
    buffers: [x.buffer, y.buffer, out],
    params: [queries, keys, heads, headDim, x.offset, x.stride, y.offset, y.stride, f32(factor)],
    groups: [Math.ceil(keys / 8), Math.ceil(queries / 8), batch * heads],
  });
}

function softmax(
  gpu: Gpu,
  { batch, queries, keys, heads, mask, end }: AttentionShape,
  scoresBuffer: GpuBuffer,
): void {
  const total = batch * heads * queries;
  gpu.run(softmaxKernel, {
    constants: { MASK: { none: 0, causal: 1, tree: 2 }[mask], TREE: Number(mask === 'tree') },
    buffers: [...(mask === 'tree' ? [end!] : []), scoresBuffer],
    params: [total, queries, keys],
    groups: [Math.ceil(total / 32)],
  });
}

function mix(
  gpu: Gpu,
  shape: AttentionShape,
  w: GpuBuffer,
  y: Section,
  out: Section,
  transposed: boolean,
): void {
  const { batch, queries, keys, heads, headDim } = shape;
  gpu.run(mixKernel, {
    constants: { TRANSPOSED: Number(transposed) },
    buffers: [w, y.buffer, out.buffer],
    params: [queries, keys, heads, headDim, y.offset, y.stride, out.offset, out.stride],
    groups: [Math.ceil(headDim / 32), transposed ? keys : queries, batch * heads],
  });
}
