import { concat } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { UserError } from '../common/errors.ts';
import { type Pool, poolTokens, poolWidth } from '../model/pooling.ts';
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
 * The image features a run needs: the tower's projected feature, or, image-only, what --layers and --pool ask for. The id
 * holds all that they depend on beside the device and the image: the weights do not say their activation, heads, eps, mean
 * and standard deviation by themselves.
 */
export function featureExtractor(
  vision: VisionTransformer,
  weightsId: string,
  settings: FeatureChoice,
): FeatureExtractor {
  const { trainer, layers, pool, weightType } = settings;
  const { width } = vision.config;
  const id = `${weightsId} ${weightType} ${JSON.stringify(vision.config)}`;
  if (trainer !== 'image-only' || (layers === '' && pool === 'cls'))
    return { width: vision.featureWidth, id: `${id} feature`, encode: (patches) => vision.features(patches) };
  const blocks = layers === '' ? [vision.config.layers] : layers.split(',').map(Number);
  for (const block of blocks)
    if (!Number.isInteger(block) || block < 1 || block > vision.config.layers)
      throw new UserError(
        `--layers ${layers}: this model has blocks 1 to ${vision.config.layers}`,
        'Pass block numbers separated by commas, e.g. --layers 4,8,12.',
      );
  return {
    width: blocks.length * poolWidth(pool) * width,
    id: `${id} blocks ${blocks.join()} ${pool}`,
    encode: (patches) =>
      scope(() =>
        concat(
          vision.blockOutputs(patches, blocks).map((tokens) => poolTokens(tokens, pool)),
          1,
        ),
      ),
  };
}
