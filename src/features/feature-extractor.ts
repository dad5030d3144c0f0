import { multiply } from '../autograd/ops/arithmetic.ts';
import { sum } from '../autograd/ops/reduce.ts';
import { concat, reshape } from '../autograd/ops/shape.ts';
import { sqrt } from '../autograd/ops/unary.ts';
import { scope } from '../autograd/scope.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { VisionConfig } from '../model/config.ts';
import { type Pool, poolTokens, poolWidth, type VisionFeature } from '../model/pooling.ts';
import type { VisionTransformer } from '../model/vit.ts';
import type { FeatureExtractor } from './image-encoder.ts';

/** What of a run's settings decides which features of an image it takes. */
export interface FeatureChoice {
  readonly trainer: string;
  /** Blocks whose tokens are pooled, separated by commas; empty: the last. */
  readonly layers: string;
  readonly pool: Pool;
  /** Whether the length of the projected feature goes along. */
  readonly featureLength?: boolean;
  readonly weightType: string;
}

/**
 * The image feature that a run's settings ask for: the tower's projected one, or, image-only and clip-agiqa-plus, what --layers and --pool say.
 *
 * @throws UserError if the tower has no such block
 */
export function visionFeature({ layers: count }: VisionConfig, choice: FeatureChoice): VisionFeature {
  const { trainer, layers, pool } = choice;
  if (!choosesFeatures(trainer)) return { kind: 'projected' };
  const length = choice.featureLength ?? false;
  if (layers === '' && pool === 'cls') return { kind: 'projected', length };
  const blocks = layers === '' ? [count] : layers.split(',').map(Number);
  for (const block of blocks)
    if (!Number.isInteger(block) || block < 1 || block > count)
      throw new UserError(
        `--layers ${layers}: this model has blocks 1 to ${count}`,
        'Pass block numbers separated by commas, e.g. --layers 4,8,12.',
      );
  return { kind: 'pooled', blocks, pool, projected: trainer === 'clip-agiqa-plus', length };
}

/** Whether a trainer takes features by --layers, --pool, --crops and --feature-length. */
export const choosesFeatures = (trainer: string): boolean =>
  trainer === 'image-only' || trainer === 'clip-agiqa-plus';

/** Native crops that settings put beside the resized image. */
export const cropsOf = ({ trainer, crops }: { readonly trainer: string; readonly crops: number }): number =>
  choosesFeatures(trainer) ? crops : 0;

/** Numbers of a {@link VisionFeature}, and where those of the projected class token begin, if they are among them. */
export function visionFeaturePlaces(
  { width, outputWidth }: VisionConfig,
  feature: VisionFeature,
): { readonly width: number; readonly projected: number | null } {
  const after = feature.length ? 1 : 0;
  const projectedWidth = outputWidth ?? width;
  if (feature.kind === 'projected') return { width: projectedWidth + after, projected: 0 };
  const pooledWidth = feature.blocks.length * poolWidth(feature.pool) * width;
  return feature.projected
    ? { width: pooledWidth + projectedWidth + after, projected: pooledWidth }
    : { width: pooledWidth + after, projected: null };
}

/**
 * Computes {@link visionFeature}. The id holds all that it depends on beside the device and the image: the weights do not say
 * their activation, heads, eps, mean and standard deviation by themselves.
 */
export function featureExtractor(
  vision: VisionTransformer,
  weightsId: string,
  settings: FeatureChoice,
): FeatureExtractor {
  const feature = visionFeature(vision.config, settings);
  const tower = `${weightsId} ${settings.weightType} ${JSON.stringify(vision.config)}`;
  const numbers =
    feature.kind === 'projected'
      ? 'feature'
      : `blocks ${feature.blocks.join()} ${feature.pool}${feature.projected ? ' feature' : ''}`;
  const beside = featureBesideText(vision, settings);
  return {
    width: visionFeaturePlaces(vision.config, feature).width,
    id: `${tower} ${numbers}${feature.length ? ' length' : ''}`,
    encode: (patches) =>
      scope(() => {
        if (feature.length || (feature.kind === 'pooled' && feature.projected))
          return beside(patches).feature;
        // Blocks behind the last that is pooled need not be computed.
        if (feature.kind === 'pooled')
          return pooled(vision.blockOutputs(patches, feature.blocks), feature.pool);
        return vision.features(patches);
      }),
  };
}

/** Computes {@link visionFeature} and, in the same pass, the projected feature, which alone stands beside texts; both [B, width]. */
export function featureBesideText(
  vision: VisionTransformer,
  settings: FeatureChoice,
): (patches: Tensor) => { readonly feature: Tensor; readonly projected: Tensor } {
  const choice = visionFeature(vision.config, settings);
  return (patches) =>
    scope(() => {
      const { outputs, features: projected } =
        choice.kind === 'projected'
          ? { outputs: [], features: vision.features(patches) }
          : vision.blockOutputsAndFeatures(patches, choice.blocks);
      const parts = choice.kind === 'projected' ? [projected] : [pooled(outputs, choice.pool)];
      if (choice.kind === 'pooled' && choice.projected) parts.push(projected);
      if (choice.length) parts.push(lengthOf(projected));
      return { feature: parts.length > 1 ? concat(parts, 1) : parts[0]!, projected };
    });
}

/** The Euclidean length of each row, [B, 1]. */
const lengthOf = (features: Tensor): Tensor =>
  reshape(sqrt(sum(multiply(features, features), -1)), [features.dim(0), 1]);

const pooled = (outputs: readonly Tensor[], pool: Pool): Tensor =>
  concat(
    outputs.map((tokens) => poolTokens(tokens, pool)),
    1,
  );
