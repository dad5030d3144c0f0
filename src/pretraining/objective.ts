import { add, multiply, scale, subtract } from '../autograd/ops/arithmetic.ts';
import { linear } from '../autograd/ops/linear.ts';
import { crossEntropy, mseLoss } from '../autograd/ops/losses.ts';
import { matmul } from '../autograd/ops/matmul.ts';
import { l2Normalize } from '../autograd/ops/normalize.ts';
import { slice, transpose } from '../autograd/ops/shape.ts';
import { exp, relu } from '../autograd/ops/unary.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { expectedScore } from '../model/class-scores.ts';

/** What a step learns against; B pairs. */
export interface Targets {
  /** 0 … B − 1, u32: text i belongs to image i. */
  readonly own: Tensor;
  /** Standardized features of the teacher [B, D], or null without one. */
  readonly teacher: Tensor | null;
  /** Quality of each view, 0 to 1 [B], and the value of each word [W]; null without scores. */
  readonly quality: { readonly views: Tensor; readonly words: Tensor } | null;
}

/** What is learned beside the towers; the distillation head is left behind when training ends. */
export interface ObjectiveParameters {
  /** The logarithm of the inverse temperature, []. */
  readonly logitScale: Tensor;
  /** The largest it may act as, [1]; does not learn. */
  readonly ceiling: Tensor;
  /** Linear map from the embedding to the teacher's features. */
  readonly distillation: { readonly weight: Tensor; readonly bias: Tensor } | null;
}

export interface LossWeights {
  readonly contrastive: number;
  readonly distillation: number;
  readonly quality: number;
}

/** Called with each loss [1], unweighted, while it exists. */
export type LossObserver = (name: keyof LossWeights, loss: Tensor) => void;

/**
 * Symmetric InfoNCE (Radford et al., arXiv 2103.00020, figure 3): cross-entropy of the scaled cosines of all images with
 * all texts, along both axes, against the diagonal. images, texts [B, E] L2-normalized.
 */
export function contrastiveLoss(
  images: Tensor,
  texts: Tensor,
  inverseTemperature: Tensor,
  own: Tensor,
): Tensor {
  return scope(() => {
    const logits = multiply(matmul(images, texts, { transposeB: true }), inverseTemperature);
    return scale(add(crossEntropy(logits, own), crossEntropy(transpose(logits), own)), 0.5);
  });
}

/**
 * The loss [1] of a batch from its embeddings, a weighted sum of: the contrastive loss; distillation, the mean squared
 * error of a linear map of the image's embedding from the teacher's features (Hinton et al., arXiv 1503.02531, on
 * features); and the quality words', the mean squared error of the expected score under the words' probabilities from
 * the view's quality.
 *
 * @param images embeddings [B, E], not normalized
 * @param texts embeddings [B + W, E]: the captions, then the prompts of the W quality words
 */
export function pretrainingLoss(
  images: Tensor,
  texts: Tensor,
  { logitScale, ceiling, distillation }: ObjectiveParameters,
  { own, teacher, quality }: Targets,
  weights: LossWeights,
  observe: LossObserver = () => {},
): Tensor {
  return scope(() => {
    const count = own.size;
    const unitImages = l2Normalize(images);
    const words = l2Normalize(texts);
    // exp(min(logit_scale, ln 100)), CLIP's own bound.
    const inverseTemperature = exp(subtract(ceiling, relu(subtract(ceiling, logitScale))));
    const weighted = (name: keyof LossWeights, loss: Tensor) => {
      observe(name, loss);
      return scale(loss, weights[name]);
    };
    const captions = slice(words, 0, 0, count);
    let total = weighted('contrastive', contrastiveLoss(unitImages, captions, inverseTemperature, own));
    if (teacher && distillation) {
      const predicted = linear(images, distillation.weight, distillation.bias);
      total = add(total, weighted('distillation', mseLoss(predicted, teacher)));
    }
    if (quality) {
      const prompts = slice(words, 0, count, words.dim(0));
      const logits = multiply(matmul(unitImages, prompts, { transposeB: true }), inverseTemperature);
      const expected = expectedScore(logits, quality.words);
      total = add(total, weighted('quality', mseLoss(expected, quality.views)));
    }
    return total;
  });
}
