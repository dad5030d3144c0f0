import { concat } from '../autograd/ops/shape.ts';
import { allOrNone, keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { ClassScores } from '../model/class-scores.ts';
import { FeatureScaling, type FeatureStatistics } from '../model/feature-scaling.ts';
import { RegressionHead } from '../model/head.ts';
import { promptSimilarities } from '../model/similarities.ts';
import { type ScoringConstants, scoredWidth } from './scoring-constants.ts';

/** What is left of a trained model once its texts are constants: image features [B, E], not normalized, to scores [B]. */
export interface ScoringModel {
  /** Numbers of a feature that it takes. */
  readonly width: number;
  /** Of the training images' features, of a model that standardizes them. */
  readonly statistics?: FeatureStatistics | null | undefined;
  predict(features: Tensor): Tensor;
  /** The score of each member of an ensemble, [B, members]. */
  members?(features: Tensor): Tensor;
  dispose(): void;
}

/** Scores by a head on the image's feature, the text features folded into it, or by classes that stand for scores. */
export function scoringModel(gpu: Gpu, constants: ScoringConstants): ScoringModel {
  if (constants.kind === 'classes') {
    const { text, scores, logitScale } = constants;
    return new ClassScores(Tensor.from(gpu, text.data, text.shape), scores, logitScale);
  }
  const { similarities } = constants;
  const [head, scaling, text] = allOrNone(
    () =>
      [
        new RegressionHead(gpu, constants.head, constants.activation),
        new FeatureScaling(gpu, constants.statistics),
        similarities && keep(Tensor.from(gpu, similarities.text.data, similarities.text.shape)),
      ] as const,
  );
  const input = (features: Tensor) =>
    text && similarities
      ? concat([scaling.forward(features), promptSimilarities(features, text, similarities)], 1)
      : scaling.forward(features);
  return {
    width: scoredWidth(constants),
    statistics: constants.statistics,
    members: (features) => scope(() => head.members(input(features))),
    predict: (features) => scope(() => head.forward(input(features))),
    dispose: () => {
      for (const tensor of head.parameters.values()) tensor.dispose();
      scaling.dispose();
      text?.dispose();
    },
  };
}
