import { add, divide, multiply } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { maxAll, sum } from '../autograd/ops/reduce.ts';
import { concat, reshape, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type AttentionLinks, valueAndLinks } from './attention-links.ts';
import type { VisionFeature } from './pooling.ts';
import type { VisionTransformer } from './vit.ts';

/** What gives an image its score, and through which tokens. */
export interface ExplainedScore {
  readonly vision: VisionTransformer;
  /** Which tokens the score is read from. */
  readonly feature: VisionFeature;
  /** Patches of one image [tokens − 1, 3 · patch²] → its score [1]. */
  readonly score: (patches: Tensor) => Tensor;
}

/** Why an image has its score; each map has a number a patch, row by row, side · side in all. */
export interface Explanation {
  readonly score: number;
  /** Patches a side. */
  readonly side: number;
  /** How much each patch raises the score, and lowers it; not negative, and of use beside each other alone: they have no unit. */
  readonly raises: Float32Array;
  readonly lowers: Float32Array;
  /** `raises` less `lowers`: the relevance, positive where a patch speaks for a higher score. */
  readonly relevance: Float32Array;
  /** Where the model looks, which is not why: what the class token attends to in the last block, the mean of the heads. */
  readonly attention: Float32Array;
  /** Where it looks, through all blocks: attention rollout (Abnar and Zuidema, arXiv 2005.00928). */
  readonly rollout: Float32Array;
}

/**
 * Gradient-weighted attention relevance (Chefer et al., ICCV 2021, arXiv 2103.15679, equations 5 and 6), signed, of one image by one
 * forward and one backward pass: R ← R + Ā R over the blocks, with Ā the mean over the heads of (∇S)⁺ for what raises the score
 * and of (−∇S)⁺ for what lowers it. It differs from the paper in three things:
 * - ∇S = A ∘ (∇A − Σ A ∘ ∇A), the gradient by the attention's logits, takes the place of A ∘ ∇A: a patch that is hidden hands its
 *   share of the attention to the others, so what counts is how much better than their mean it is.
 * - R starts from the tokens that the head reads, after every block that is pooled, with the weight that the pooling gives them: the
 *   class token 1, each of n patches 1/n.
 * - Ā is divided by its largest row sum over all blocks and both signs, so that a score in another unit has the same map.
 *
 * @param patches of one image, as {@link VisionTransformer.patches} and `patchesFromBytes` give them
 */
export async function explain(
  { vision, feature, score }: ExplainedScore,
  patches: Tensor,
): Promise<Explanation> {
  const { tokens } = vision;
  if (patches.dim(0) !== tokens - 1)
    throw new Error(
      `explain takes the ${tokens - 1} patches of one image, not [${patches.shape.join(', ')}]`,
    );
  const read = scope(() => {
    const { value, links } = valueAndLinks(() => score(patches), patches);
    try {
      const one = reshape(value, [1, 1]);
      const rows = [
        ...relevanceRows(links, feature, tokens),
        attentionRow(links.at(-1)!.probability),
        rolloutRow(links, tokens),
      ];
      return concat([one, ...rows.map((row) => slice(row, 1, 1, tokens))], 1);
    } finally {
      for (const tensor of links.flatMap((link) => Object.values(link))) tensor.dispose();
    }
  });
  const values = await read.read().finally(() => read.dispose());
  const map = (i: number) => values.slice(1 + i * (tokens - 1), 1 + (i + 1) * (tokens - 1));
  const [raises, lowers] = [map(0), map(1)];
  return {
    score: values[0]!,
    side: Math.sqrt(tokens - 1),
    raises,
    lowers,
    relevance: raises.map((value, i) => value - lowers[i]!),
    attention: map(2),
    rollout: map(3),
  };
}

/** What an image's tokens give, through all blocks, to what the head reads; [1, tokens] for what raises, and what lowers. */
function relevanceRows(
  links: readonly AttentionLinks[],
  feature: VisionFeature,
  tokens: number,
): readonly [Tensor, Tensor] {
  const { gpu } = links[0]!.probability;
  const sums = links.flatMap(({ raises, lowers }) => [sum(raises, -1), sum(lowers, -1)]);
  // Where nothing has a gradient, nothing has relevance: 0 / tiny.
  const largest = add(maxAll(concat(sums, 0)), Tensor.from(gpu, [1e-30]));
  const start = Tensor.from(gpu, readoutWeights(feature, tokens), [1, tokens]);
  const blocks = new Set(feature.kind === 'pooled' ? feature.blocks : [links.length]);
  // CLIP's own feature beside pooled blocks reads the last block's class token.
  const beside = feature.kind === 'pooled' && (feature.projected || feature.length);
  const classToken = Tensor.from(gpu, readoutWeights({ kind: 'projected' }, tokens), [1, tokens]);
  const chain = (matrixOf: (link: AttentionLinks) => Tensor) => {
    let row = Tensor.zeros(gpu, [1, tokens]);
    for (const [i, link] of [...links.entries()].reverse()) {
      if (blocks.has(i + 1)) row = add(row, start);
      if (beside && i + 1 === links.length) row = add(row, classToken);
      row = add(row, through(row, divide(matrixOf(link), largest)));
    }
    return row;
  };
  return [chain(({ raises }) => raises), chain(({ lowers }) => lowers)];
}

/** row [1, tokens] · matrix [queries, tokens]; where only the class token's query was computed, no other token reads anything. */
function through(row: Tensor, matrix: Tensor): Tensor {
  const [queries, tokens] = matrix.shape as [number, number];
  return matmul(queries === tokens ? row : slice(row, 1, 0, queries), matrix);
}

/** The weight [tokens] of each token in what the head reads of a block. */
function readoutWeights(feature: VisionFeature, tokens: number): Float32Array {
  const pool = feature.kind === 'projected' ? 'cls' : feature.pool;
  const weights = new Float32Array(tokens).fill(pool === 'cls' ? 0 : 1 / (tokens - 1));
  weights[0] = pool === 'mean' ? 0 : 1;
  return weights;
}

const attentionRow = (probability: Tensor): Tensor => slice(probability, 0, 0, 1);

/** The class token's row of the product of (A + I) / 2 over all blocks. */
function rolloutRow(links: readonly AttentionLinks[], tokens: number): Tensor {
  const { gpu } = links[0]!.probability;
  const half = Tensor.from(gpu, [0.5]);
  let row = Tensor.from(
    gpu,
    Float32Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : 0)),
    [1, tokens],
  );
  for (const { probability } of links.toReversed()) row = multiply(add(row, through(row, probability)), half);
  return row;
}
