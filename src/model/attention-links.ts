import { multiply, scale, subtract } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { sum } from '../autograd/ops/reduce.ts';
import { permute, reshape, slice } from '../autograd/ops/shape.ts';
import { softmax } from '../autograd/ops/softmax.ts';
import { relu } from '../autograd/ops/unary.ts';
import { keep, scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type Observer, type OpCall, observing } from '../autograd/trace.ts';
import type { AttentionSizes } from '../kernels/attention/index.ts';

/** One attention of a pass over one image: means over its heads, all [queries, keys]. */
export interface AttentionLinks {
  /** The probabilities A. */
  readonly probability: Tensor;
  /** (∇S)⁺, ∇S the gradient of the value by the logits: what more attention along each link would raise. */
  readonly raises: Tensor;
  /** (−∇S)⁺: what it would lower. */
  readonly lowers: Tensor;
}

/** A value with the attentions that it came through, from the first to the last. */
export interface ValueAndLinks {
  readonly value: Tensor;
  readonly links: readonly AttentionLinks[];
}

/**
 * Runs `f` forward and back once, and gives what each attention on the way took part in its value [1]. Attention runs fused, as
 * ever, and keeps no probabilities: they are computed again from the queries and keys, and their gradient ∇A = dOut · Vᵀ from the
 * gradient of the output, both of which pass by here. The model knows nothing of it.
 *
 * @param input what the attentions depend on
 */
export function valueAndLinks(f: () => Tensor, input: Tensor): ValueAndLinks {
  const passing = new Map<number, readonly Tensor[]>(); // inputs of attentions by their outputs
  const links: AttentionLinks[] = [];
  const observe: Observer = (call, run) => {
    const results = run();
    if (!isAttention(call.name)) return results;
    if (call.dy === undefined) passing.set((results as Tensor).id, keptInputs(call));
    else {
      const inputs = passing.get(call.of ?? 0)!;
      const { dy } = call;
      links.unshift(scope(() => linksOf(inputs, dy, call.attributes as AttentionSizes)));
      for (const tensor of Object.values(links[0]!)) keep(tensor);
    }
    return results;
  };
  try {
    const { value, gradients } = observing(observe, () => valueAndGradients(f, [input]));
    for (const gradient of gradients.values()) gradient.dispose();
    if (links.length === 0) throw new Error('the value comes through no attention');
    return { value, links };
  } catch (error) {
    for (const tensor of links.flatMap((link) => Object.values(link))) tensor.dispose();
    throw error;
  } finally {
    for (const tensor of [...passing.values()].flat()) tensor.dispose();
  }
}

const isAttention = (name: string) => name === 'attention' || name === 'attentionFrom';

/** Handles of their own on what an attention reads: it is needed until the gradient comes back. */
const keptInputs = ({ inputs }: OpCall): readonly Tensor[] =>
  inputs.filter((input) => input instanceof Tensor).map((input) => keep(input.view()));

/** @param inputs queries, keys and values side by side, or the queries and the two others; of one image */
function linksOf(
  inputs: readonly Tensor[],
  dOut: Tensor,
  { heads, headDim, queries, keys }: AttentionSizes,
): AttentionLinks {
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
  const gradient = matmul(byHeads(dOut, queries, 0), v, { transposeB: true });
  const given = sum(multiply(p, gradient), -1); // what each query gets in all
  const ones = Tensor.from(p.gpu, new Float32Array(keys).fill(1), [1, keys]);
  const shared = reshape(matmul(reshape(given, [given.size, 1]), ones), p.shape);
  const effect = multiply(p, subtract(gradient, shared));
  const mean = (x: Tensor) => scale(sum(x, 0), 1 / heads);
  return {
    probability: mean(p),
    raises: mean(relu(effect)),
    lowers: mean(relu(scale(effect, -1))),
  };
}
