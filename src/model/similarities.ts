import { subtract } from '../autograd/ops/arithmetic.ts';
import { mean } from '../autograd/ops/reduce.ts';
import { concat, expand, permute, slice } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { classLogits } from './class-scores.ts';

/** How images and prompts are compared: which parts of a feature are CLIP's own, and exp(logit_scale). */
export interface SimilarityPlaces {
  /** Where the projected features begin in a feature: that of the resized image, and that of the mean of its native crops. */
  readonly places: readonly number[];
  readonly logitScale: number;
}

/**
 * How much more an image is like each prompt than like all of them: logits, exp(logit_scale) · cosine, less their mean over the prompts, for each
 * projected feature in the image's, so that prompts act on each score, which text features that are the same for all images cannot.
 *
 * @param features [B, width]
 * @param text L2-normalized text features [prompts, E]
 * @returns [B, places · prompts]
 */
export function promptSimilarities(
  features: Tensor,
  text: Tensor,
  { places, logitScale }: SimilarityPlaces,
): Tensor {
  return scope(() => {
    const [prompts, width] = text.shape as [number, number];
    const parts = places.map((at) => {
      const logits = classLogits(slice(features, 1, at, at + width), text, logitScale);
      const average = permute(expand(mean(logits, -1), prompts), [1, 0]);
      return subtract(logits, average);
    });
    return parts.length > 1 ? concat(parts, 1) : parts[0]!;
  });
}
