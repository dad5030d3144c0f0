import { concat, reshape } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { featureBesideText, featureExtractor, visionFeature } from '../features/feature-extractor.ts';
import type { FeatureExtractor } from '../features/image-encoder.ts';
import type { VisionTransformer } from '../model/vit.ts';
import type { OpenedModel } from './open-model.ts';
import type { ScoringModel } from './scoring-model.ts';

/**
 * The feature and, behind it, its score: computed on the GPU, and read back together a batch at a time. A head may make a
 * finite score of a feature that is not, so both are looked at.
 */
export function scoreEncoder(
  vision: VisionTransformer,
  scoring: ScoringModel,
  model: OpenedModel,
): FeatureExtractor {
  const { width, id, encode } = featureExtractor(vision, model.id, model.settings);
  return {
    width: width + 1,
    id: `${id} score`,
    encode: (patches) =>
      scope(() => {
        const feature = encode(patches);
        return concat([feature, scoreColumn(scoring, feature)], 1);
      }),
    describe: (at) => described(at, width, width),
  };
}

/** As {@link scoreEncoder}, with the projected feature between the two, where the model takes another one. */
export function encoderBesideText(
  vision: VisionTransformer,
  scoring: ScoringModel,
  model: OpenedModel,
): FeatureExtractor {
  const plain = scoreEncoder(vision, scoring, model);
  const own = visionFeature(vision.config, model.settings);
  if (own.kind === 'projected' && !own.length) return plain;
  const encode = featureBesideText(vision, model.settings);
  const width = plain.width - 1;
  return {
    width: width + vision.featureWidth + 1,
    id: `${plain.id} beside text`,
    encode: (patches) =>
      scope(() => {
        const { feature, projected } = encode(patches);
        return concat([feature, projected, scoreColumn(scoring, feature)], 1);
      }),
    describe: (at) => described(at, width + vision.featureWidth, width),
  };
}

/** The feature of a crop and behind it, for texts, the projected one; the score takes all crops of an image. */
export function cropEncoder(vision: VisionTransformer, model: OpenedModel): FeatureExtractor {
  const { width, id } = featureExtractor(vision, model.id, model.settings);
  const encode = featureBesideText(vision, model.settings);
  return {
    width: width + vision.featureWidth,
    id: `${id} beside text`,
    encode: (patches) =>
      scope(() => {
        const { feature, projected } = encode(patches);
        return concat([feature, projected], 1);
      }),
  };
}

const scoreColumn = (scoring: ScoringModel, feature: Tensor): Tensor =>
  reshape(scoring.predict(feature), [feature.dim(0), 1]);

function described(at: number, scoreAt: number, width: number): string {
  if (at === scoreAt) return 'its score';
  if (at < width) return `element ${at + 1} of ${width} of its feature`;
  return `element ${at - width + 1} of ${scoreAt - width} of its projected feature`;
}
