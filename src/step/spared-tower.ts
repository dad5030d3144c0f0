import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import type { FeatureExtractor } from '../features/image-encoder.ts';
import type { VisionTransformer } from '../model/vit.ts';
import type { Spared } from './ghosts.ts';
import { StepTracer } from './step-tracer.ts';

/**
 * The image tower on the images of a step, which it need not run on since their features are known.
 *
 * @param encodeBatch images that it takes at once
 */
export function sparedTower(
  vision: VisionTransformer,
  encoder: Pick<FeatureExtractor, 'encode'>,
  encodeBatch: number,
  images: number,
): Spared {
  const { gpu } = vision.parameters.tensors()[0]!;
  const words = (vision.config.imageSize ** 2 * 3) / 4;
  const tracer = new StepTracer();
  scope(() => {
    const pixels = Tensor.from(gpu, new Uint32Array(encodeBatch * words), [encodeBatch, words]);
    tracer.record(gpu, () => encoder.encode(vision.patchesFromBytes(pixels)));
  });
  return {
    what: `the image tower on ${images} image${images === 1 ? '' : 's'}`,
    why: 'It is frozen, so each image was encoded once, before training, and its features are read from memory in every epoch.',
    how: `Its dispatches were recorded on ${encodeBatch} images, and count ${images}/${encodeBatch} times.`,
    part: 'visual',
    phase: 'forward',
    dispatches: tracer.dispatches,
    times: images / encodeBatch,
    replaces: () => false,
  };
}
