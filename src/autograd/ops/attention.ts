import {
  type AttentionInputs,
  type AttentionSizes,
  attentionBackward,
  attentionForward,
} from '../../kernels/attention/index.ts';
import type { GpuBuffer } from '../../kernels/device/buffer-pool.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** What a token sees; `end` takes the place of `mask`. */
export interface AttentionOptions {
  readonly heads: number;
  /** 'causal': a token sees itself and those before it. Default 'none'. */
  readonly mask?: 'none' | 'causal';
  /** u32 [T]: rows are a prefix tree in depth-first preorder, end[j] = j + the size of j's subtree; a token sees its ancestors and itself. */
  readonly end?: Tensor | undefined;
}

function forward(
  gpu: Tensor['gpu'],
  { q, k, v }: AttentionInputs,
  shape: AttentionSizes,
  end: GpuBuffer | undefined,
  recording: boolean,
) {
  const { batch, heads, queries, headDim } = shape;
  const out = Tensor.empty(gpu, [batch, queries, heads * headDim]);
  const lse = recording ? Tensor.empty(gpu, [batch, heads, queries]) : null;
  attentionForward(gpu, { q, k, v, end, out: out.buffer, lse: lse?.buffer, ...shape });
  return { out, lse };
}

/** The thirds of a [B, T, 3D] buffer. */
function thirds({ buffer }: Tensor, width: number) {
  const view = (i: number) => ({ buffer, offset: i * width, stride: 3 * width });
  return [view(0), view(1), view(2)] as const;
}

const attentionOp: Op<{
  inputs: [qkv: Tensor, end: Tensor | null];
  saved: { qkv: Tensor; out: Tensor; lse: Tensor; end: Tensor | null };
  attributes: AttentionSizes;
}> = {
  name: 'attention',
  types: [['f32'], ['u32']],
  forward([qkv, end], { attributes: shape, recording, save }) {
    const [q, k, v] = thirds(qkv, shape.heads * shape.headDim);
    const { out, lse } = forward(qkv.gpu, { q, k, v }, shape, end?.buffer, recording);
    if (lse) save({ qkv, out, lse, end });
    lse?.dispose();
    return out;
  },
  gradient(dy, { saved: { qkv, out, lse, end }, attributes: shape }) {
    const dqkv = Tensor.empty(dy.gpu, qkv.shape);
    const width = shape.heads * shape.headDim;
    const [q, k, v] = thirds(qkv, width);
    const [dq, dk, dv] = thirds(dqkv, width);
    const inputs = { q, k, v, end: end?.buffer, out: out.buffer, lse: lse.buffer, dOut: dy.buffer };
    attentionBackward(dy.gpu, { dq, dk, dv, ...inputs, ...shape });
    return [dqkv, null];
  },
};

/** The query [B, Tq, D] as a view of its own and the halves of a [B, Tk, 2D] buffer. */
function queryAndHalves(q: Tensor, kv: Tensor, width: number) {
  return [
    { buffer: q.buffer, offset: 0, stride: width },
    { buffer: kv.buffer, offset: 0, stride: 2 * width },
    { buffer: kv.buffer, offset: width, stride: 2 * width },
  ] as const;
}

const attentionFromOp: Op<{
  inputs: [query: Tensor, kv: Tensor];
  saved: { query: Tensor; kv: Tensor; out: Tensor; lse: Tensor };
  attributes: AttentionSizes;
}> = {
  name: 'attentionFrom',
  forward([query, kv], { attributes: shape, recording, save }) {
    const [q, k, v] = queryAndHalves(query, kv, shape.heads * shape.headDim);
    const { out, lse } = forward(query.gpu, { q, k, v }, shape, undefined, recording);
    if (lse) save({ query, kv, out, lse });
    lse?.dispose();
    return out;
  },
  gradient(dy, { saved: { query, kv, out, lse }, needs, attributes: shape }) {
    const dQuery = Tensor.empty(dy.gpu, query.shape);
    const dkv = Tensor.empty(dy.gpu, kv.shape);
    const width = shape.heads * shape.headDim;
    const [q, k, v] = queryAndHalves(query, kv, width);
    const [dq, dk, dv] = queryAndHalves(dQuery, dkv, width);
    const inputs = { q, k, v, out: out.buffer, lse: lse.buffer, dOut: dy.buffer };
    attentionBackward(dy.gpu, { dq, dk, dv, ...inputs, ...shape });
    return [needs[0] ? dQuery : null, needs[1] ? dkv : null];
  },
};

/**
 * Multi-head scaled dot-product self-attention (Vaswani et al., 2017, section 3.2); scores are divided by the square
 * root of the head size.
 *
 * @param qkv [B, T, 3D]: queries, keys and values of each token side by side, each heads · (D / heads)
 * @returns [B, T, D]
 */
export function attention(qkv: Tensor, { heads, mask = 'none', end }: AttentionOptions): Tensor {
  const [batch, tokens, width] = qkv.shape as [number, number, number];
  if (qkv.shape.length !== 3 || width % (3 * heads) !== 0)
    throw new Error(
      `attention: qkv is [${qkv.shape.join(', ')}], expected [B, T, 3D] with D a multiple of ${heads} heads`,
    );
  if (end && (end.type !== 'u32' || end.size !== tokens))
    throw new Error(`attention: end is ${end.type} [${end.shape.join(', ')}], expected u32 [${tokens}]`);
  const headDim = width / 3 / heads;
  const shape: AttentionSizes = {
    batch,
    queries: tokens,
    keys: tokens,
    heads,
    headDim,
    mask: end ? 'tree' : mask,
  };
  return apply(attentionOp, [qkv, end ?? null], shape);
}

/**
 * Attention of some tokens to all, without a mask: what a last block needs of which only the class token is read.
 *
 * @param q [B, Tq, D]
 * @param kv [B, Tk, 2D]: keys and values side by side
 * @returns [B, Tq, D]
 */
export function attentionFrom(q: Tensor, kv: Tensor, { heads }: { readonly heads: number }): Tensor {
  const [batch, queries, width] = q.shape as [number, number, number];
  const [keyBatch, keys, both] = kv.shape as [number, number, number];
  if (keyBatch !== batch || both !== 2 * width || width % heads !== 0)
    throw new Error(
      `attentionFrom: q is [${q.shape.join(', ')}], kv [${kv.shape.join(', ')}] with ${heads} heads`,
    );
  return apply(attentionFromOp, [q, kv], {
    batch,
    queries,
    keys,
    heads,
    headDim: width / heads,
    mask: 'none',
  });
}
