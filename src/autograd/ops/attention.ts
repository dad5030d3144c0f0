import { type AttentionShape, attentionBackward, attentionForward } from '../../kernels/attention.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** Which keys a query sees: all, the past, or its ancestors in a prefix tree (`end`, u32 [T]: row after each row's subtree). */
export interface AttentionOptions {
  readonly heads: number;
  readonly mask?: 'none' | 'causal';
  readonly end?: Tensor;
}

interface Attributes {
  readonly shape: AttentionShape;
  /** q, k and v in one tensor of 3·D a token, rather than q apart from k ++ v. */
  readonly packed: boolean;
}

/** The three sections of the inputs (or of their gradients). */
function sections(first: Tensor, second: Tensor | undefined, width: number) {
  const [q, kv] = [first.buffer, second?.buffer ?? first.buffer];
  const [qStride, kvStride, at] = second ? [width, 2 * width, 0] : [3 * width, 3 * width, width];
  return {
    q: { buffer: q, offset: 0, stride: qStride },
    k: { buffer: kv, offset: at, stride: kvStride },
    v: { buffer: kv, offset: at + width, stride: kvStride },
  };
}

const attentionOp: Op<Attributes> = {
  name: 'attention',
  forward([first, second], { shape, packed }, { save }) {
    const { batch, queries, keys, heads, headDim } = shape;
    const { gpu } = first!;
    const out = Tensor.empty(gpu, [batch, queries, heads * headDim]);
    const probabilities = Tensor.empty(gpu, [batch, heads, queries, keys]);
    attentionForward(gpu, shape, {
      ...sections(first!, packed ? undefined : second, heads * headDim),
      out: out.buffer,
      probabilities: probabilities.buffer,
    });
    save(probabilities, first!, ...(packed ? [] : [second!]));
    probabilities.dispose();
    return out;
  },
  gradient(dy, { saved: [probabilities, first, second], attributes: { shape } }) {
    const width = shape.heads * shape.headDim;
    const dFirst = Tensor.empty(dy.gpu, first!.shape);
    const dSecond = second && Tensor.empty(dy.gpu, second.shape);
    const gradients = sections(dFirst, dSecond, width);
    attentionBackward(dy.gpu, shape, {
      ...sections(first!, second, width),
      probabilities: probabilities!.buffer,
      dout: dy.buffer,
      dq: gradients.q,
      dk: gradients.k,
      dv: gradients.v,
    });
    return dSecond ? [dFirst, dSecond] : [dFirst, null];
  },
};

function maskOf({ mask = 'none', end }: AttentionOptions): Pick<AttentionShape, 'mask' | 'end'> {
  return end ? { mask: 'tree', end: end.buffer } : { mask };
}

/** Multi-head attention (Vaswani et al., arXiv 1706.03762) of packed qkv [B, T, 3·D] → [B, T, D]. */
export function attention(qkv: Tensor, options: AttentionOptions): Tensor {
  const [batch, tokens, packedWidth] = qkv.shape as [number, number, number];
  const headDim = packedWidth / 3 / options.heads;
  const shape = { batch, queries: tokens, keys: tokens, heads: options.heads, headDim, ...maskOf(options) };
  return apply(attentionOp, [qkv], { shape, packed: true });
}

/** As {@link attention}, with the queries [B, Tq, D] apart from keys and values [B, Tk, 2·D], all of which they see → [B, Tq, D]. */
export function attentionFrom(q: Tensor, kv: Tensor, { heads }: { readonly heads: number }): Tensor {
  const [batch, queries, width] = q.shape as [number, number, number];
  const shape = { batch, queries, keys: kv.dim(1), heads, headDim: width / heads, mask: 'none' } as const;
  return apply(attentionOp, [q, kv], { shape, packed: false });
}
