import { concat } from '../autograd/ops/shape.ts';
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
  readonly weightType: string;
}

/**
 * The image feature that a run's settings ask for: the tower's projected one, or, image-only, what --layers and --pool say.
 *
 * @throws UserError if the tower has no such block
 */
export function visionFeature({ layers: count }: VisionConfig, choice: FeatureChoice): VisionFeature {
  const { trainer, layers, pool } = choice;
  if (trainer !== 'image-only' || (layers === '' && pool === 'cls')) return { kind: 'projected' };
  const blocks = layers === '' ? [count] : layers.split(',').map(Number);
  for (const block of blocks)
    if (!Number.isInteger(block) || block < 1 || block > count)
      throw new UserError(
        `--layers ${layers}: this model has blocks 1 to ${count}`,
        'Pass block numbers separated by commas, e.g. --layers 4,8,12.',
      );
  return { kind: 'pooled', blocks, pool };
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
  const id = `${weightsId} ${settings.weightType} ${JSON.stringify(vision.config)}`;
  if (feature.kind === 'projected')
    return { width: vision.featureWidth, id: `${id} feature`, encode: (patches) => vision.features(patches) };
  const { blocks, pool } = feature;
  return {
    width: blocks.length * poolWidth(pool) * vision.config.width,
    id: `${id} blocks ${blocks.join()} ${pool}`,
    encode: (patches) => scope(() => pooled(vision.blockOutputs(patches, blocks), pool)),
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
      if (choice.kind === 'projected') {
        const feature = vision.features(patches);
        return { feature, projected: feature };
      }
      const { outputs, features: projected } = vision.blockOutputsAndFeatures(patches, choice.blocks);
      return { feature: pooled(outputs, choice.pool), projected };
    });
}

const pooled = (outputs: readonly Tensor[], pool: Pool): Tensor =>
  concat(
    outputs.map((tokens) => poolTokens(tokens, pool)),
    1,
  );
