import { currentName } from '../autograd/names.ts';
import { multiply, scale, subtract } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { mean, sum } from '../autograd/ops/reduce.ts';
import { concat, permute, reshape, slice } from '../autograd/ops/shape.ts';
import { softmax } from '../autograd/ops/softmax.ts';
import { relu } from '../autograd/ops/unary.ts';
import { keep, scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type Observer, type OpCall, observing } from '../autograd/trace.ts';
import type { AttentionSizes } from '../kernels/attention/index.ts';
import { pooledPart } from './vit.ts';

/** What of a value the tokens of an image raise, and what they lower, both [1, tokens] and not negative. */
export interface TokenEffects {
  readonly raises: Tensor;
  readonly lowers: Tensor;
}

/** A block's part in a value, of one image. */
export interface BlockEffects {
  /** Its attention, the mean over the heads [queries, tokens]. */
  readonly probability: Tensor;
  /** Of the tokens that go into its attention: for being attended to, by the class token, more than others. */
  readonly attended: TokenEffects;
  /** Of the tokens that come out of it, where they are pooled: for being other than the mean patch. */
  readonly pooled: TokenEffects | null;
}

/** A value with the effects of the blocks that it came through, from the first to the last. */
export interface ValueAndEffects {
  readonly value: Tensor;
  readonly blocks: readonly BlockEffects[];
}

/** What is seen of a block while its pass runs. */
interface Seen {
  readonly attention: { readonly inputs: readonly Tensor[]; readonly output: number };
  pooled?: { readonly tokens: Tensor; readonly output: number };
  probability?: Tensor;
  attendedEffects?: TokenEffects;
  pooledEffects?: TokenEffects;
}

/**
 * Runs `f` forward and back once, and gives what each block's attention, and each pooling of its tokens, took part in its value [1].
 * Attention runs fused, as ever, and keeps no probabilities: they are computed again from the queries and keys, and their gradient
 * ∇A = dOut · Vᵀ from the gradient of the output, both of which pass by here. The model knows nothing of it.
 *
 * @param input what the value depends on
 */
export function valueAndEffects(f: () => Tensor, input: Tensor): ValueAndEffects {
  const seen: Seen[] = [];
  const forward = (call: OpCall, output: Tensor) => {
    const tensors = call.inputs.filter((tensor) => tensor instanceof Tensor);
    if (isAttention(call))
      seen.push({ attention: { inputs: tensors.map((x) => keep(x.view())), output: output.id } });
    else if (isPooling(call)) {
      const block = seen.at(-1);
      if (block) block.pooled = { tokens: keep(tensors[0]!.view()), output: output.id };
    }
  };
  const backward = ({ of, dy, attributes }: OpCall) => {
    for (const block of seen) {
      if (block.attention.output === of) {
        const { inputs } = block.attention;
        const found = scope(() => attendedEffects(inputs, dy!, attributes as AttentionSizes));
        block.probability = keep(found.probability);
        block.attendedEffects = kept(found.effects);
      }
      if (block.pooled?.output === of)
        block.pooledEffects = kept(scope(() => pooledEffects(block.pooled!.tokens, dy!)));
    }
  };
  const observe: Observer = (call, run) => {
    const results = run();
    if (!isAttention(call) && !isPooling(call)) return results;
    if (call.of === undefined) forward(call, results as Tensor);
    else backward(call);
    return results;
  };
  try {
    const { value, gradients } = observing(observe, () => valueAndGradients(f, [input]));
    for (const gradient of gradients.values()) gradient.dispose();
    const blocks = seen.flatMap(({ probability, attendedEffects: attended, pooledEffects: pooled = null }) =>
      probability && attended ? [{ probability, attended, pooled }] : [],
    );
    if (blocks.length === 0) throw new Error('the value comes through no attention');
    return { value, blocks };
  } catch (error) {
    for (const { probability, attendedEffects: attended, pooledEffects: pooled } of seen)
      for (const tensor of [probability, ...effectTensors(attended), ...effectTensors(pooled)])
        tensor?.dispose();
    throw error;
  } finally {
    for (const { attention, pooled } of seen)
      for (const tensor of [...attention.inputs, pooled?.tokens]) tensor?.dispose();
  }
}

/** Frees what {@link valueAndEffects} gave of blocks. */
export function disposeEffects(blocks: readonly BlockEffects[]): void {
  for (const { probability, attended, pooled } of blocks)
    for (const tensor of [probability, ...effectTensors(attended), ...effectTensors(pooled)])
      tensor.dispose();
}

const effectTensors = (effects: TokenEffects | null | undefined) =>
  effects ? [effects.raises, effects.lowers] : [];
const kept = ({ raises, lowers }: TokenEffects): TokenEffects => ({
  raises: keep(raises),
  lowers: keep(lowers),
});

const isAttention = ({ name }: OpCall) => name === 'attention' || name === 'attentionFrom';
const isPooling = ({ name }: OpCall) => name === 'reshape' && currentName().endsWith(pooledPart);

/**
 * Of each token, over the heads: the gradient by the logit of the class token's attending to it, ∇S = A ∘ (∇A − Σ A ∘ ∇A).
 *
 * @param inputs queries, keys and values side by side, or the queries and the two others; of one image
 */
function attendedEffects(
  inputs: readonly Tensor[],
  dOut: Tensor,
  { heads, headDim, queries, keys }: AttentionSizes,
): { readonly probability: Tensor; readonly effects: TokenEffects } {
  const width = heads * headDim;
  /** The part-th vector of each token, by heads: [heads, tokens, headDim]. */
  const byHeads = (x: Tensor, tokens: number, part: number) => {
    const vectors = slice(reshape(x, [tokens, x.size / tokens]), 1, part * width, (part + 1) * width);
    return permute(reshape(vectors, [tokens, heads, headDim]), [1, 0, 2]);
  };
  const [first, second] = inputs as readonly [Tensor, Tensor?];
  const q = byHeads(first, queries, 0);
  const k = second ? byHeads(second, keys, 0) : byHeads(first, keys, 1);
  const v = second ? byHeads(second, keys, 1) : byHeads(first, keys, 2);
  const p = softmax(scale(matmul(q, k, { transposeB: true }), headDim ** -0.5));
  const own = reshape(slice(p, 1, 0, 1), [heads, keys]);
  const classToken = slice(byHeads(dOut, queries, 0), 1, 0, 1);
  const gradient = reshape(matmul(classToken, v, { transposeB: true }), [heads, keys]);
  const given = reshape(sum(multiply(own, gradient), -1), [heads, 1]); // what it gets in all
  const ones = Tensor.from(p.gpu, new Float32Array(keys).fill(1), [1, keys]);
  const effect = multiply(own, subtract(gradient, matmul(given, ones)));
  const total = (x: Tensor) => reshape(sum(relu(x), 0), [1, keys]);
  return {
    probability: scale(sum(p, 0), 1 / heads),
    effects: { raises: total(effect), lowers: total(scale(effect, -1)) },
  };
}

/** Of each patch token [1, tokens, width]: the gradient by it, times what it differs from the mean patch by. 0 of the class token. */
function pooledEffects(tokens: Tensor, gradient: Tensor): TokenEffects {
  const [, count, width] = tokens.shape as [number, number, number];
  const patches = (x: Tensor) => slice(reshape(x, [count, width]), 0, 1, count);
  const own = patches(tokens);
  const effect = sum(multiply(patches(gradient), subtract(own, mean(own, 0))), -1);
  const row = (x: Tensor) => concat([Tensor.zeros(x.gpu, [1, 1]), reshape(relu(x), [1, count - 1])], 1);
  return { raises: row(effect), lowers: row(scale(effect, -1)) };
}
