import { add, scale } from '../autograd/ops/arithmetic.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { concat, reshape, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type BlockEffects, disposeEffects, type TokenEffects, valueAndEffects } from './block-effects.ts';
import type { VisionTransformer } from './vit.ts';

/** What gives an image its score. */
export interface ExplainedScore {
  readonly vision: VisionTransformer;
  /** Patches of one image [tokens − 1, 3 · patch²] → its score [1]; whatever it reads of the tower. */
  readonly score: (patches: Tensor) => Tensor;
}

/** Why an image has its score; each map has a number a patch, row by row, side · side in all. */
export interface Explanation {
  readonly score: number;
  /** Patches a side. */
  readonly side: number;
  /** How much each patch raises the score, and lowers it, to first order; not negative. */
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
 * Gradient-weighted relevance of an image's patches, signed, by one forward and one backward pass: what the score would lose, to first
 * order, if a patch's token were hidden from the class token, and from the pooling of tokens where there is one. It adds up, over blocks,
 * - for being attended to: the class token's row of ∇S = A ∘ (∇A − Σ A ∘ ∇A), over all heads. A hidden token hands its share of the
 *   attention to the others, so its effect is how much better than their mean it is;
 * - where the tokens of a block are pooled: the gradient by a token, times what it differs from the mean patch by.
 *
 * After Chefer et al. (ICCV 2021, arXiv 2103.15679), who take (A ∘ ∇A)⁺ and multiply it along the blocks. The gradient knows already what
 * becomes of a token further on, and through the residual connections tokens stay at their patch; what was tried is in docs/explain.md.
 * All of it is linear in the gradient: a score in another unit has the same map.
 *
 * @param patches of one image, as {@link VisionTransformer.patches} and `patchesFromBytes` give them
 */
export async function explain({ vision, score }: ExplainedScore, patches: Tensor): Promise<Explanation> {
  const { tokens } = vision;
  if (patches.dim(0) !== tokens - 1)
    throw new Error(
      `explain takes the ${tokens - 1} patches of one image, not [${patches.shape.join(', ')}]`,
    );
  const read = scope(() => {
    const { value, blocks } = valueAndEffects(() => score(patches), patches);
    try {
      const rows = [
        total(blocks, ({ raises }) => raises),
        total(blocks, ({ lowers }) => lowers),
        slice(blocks.at(-1)!.probability, 0, 0, 1),
        rollout(blocks, tokens),
      ];
      return concat([reshape(value, [1, 1]), ...rows.map((row) => slice(row, 1, 1, tokens))], 1);
    } finally {
      disposeEffects(blocks);
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

/** What the image's tokens do in all blocks, [1, tokens]. */
function total(blocks: readonly BlockEffects[], effectOf: (effects: TokenEffects) => Tensor): Tensor {
  const parts = blocks.flatMap(({ attended, pooled }) => (pooled ? [attended, pooled] : [attended]));
  return parts.map(effectOf).reduce(add);
}

/** The class token's row of the product of (A + I) / 2 over all blocks. */
function rollout(blocks: readonly BlockEffects[], tokens: number): Tensor {
  const classToken = Float32Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : 0));
  const row = Tensor.from(blocks[0]!.probability.gpu, classToken, [1, tokens]);
  return blocks.reduceRight((to, { probability }) => {
    const [queries] = probability.shape as [number];
    // Where only the class token's query was computed, the others are not read.
    const from = queries === tokens ? to : slice(to, 1, 0, queries);
    return scale(add(to, matmul(from, probability)), 0.5);
  }, row);
}
