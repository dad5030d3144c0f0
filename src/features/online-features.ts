import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Sample } from '../data/datasets/index.ts';
import type { FeatureSource } from './feature-source.ts';
import type { EncodedImage, ImageEncoder, UnreadableImage } from './image-encoder.ts';

/** Features of a new random crop each step, as the published code trains: one stream an epoch, decoded ahead of the steps. */
export class OnlineFeatures implements FeatureSource {
  readonly #images: ImageEncoder;
  readonly #samples: readonly Sample[];
  readonly #seed: number;
  #stream: AsyncIterator<EncodedImage | UnreadableImage> | undefined;

  constructor(images: ImageEncoder, samples: readonly Sample[], seed: number) {
    this.#images = images;
    this.#samples = samples;
    this.#seed = seed;
  }

  get width(): number {
    return this.#images.encoder.width;
  }

  async beginEpoch(order: Int32Array, epoch: number): Promise<void> {
    await this.#stream?.return?.();
    const jobs = Array.from(order, (sample) => ({
      path: this.#samples[sample]!.path,
      size: this.#images.imageSize,
      transform: { kind: 'crop' as const, seed: this.#seed, epoch, index: sample },
    }));
    this.#stream = this.#images.encode(jobs)[Symbol.asyncIterator]();
  }

  /** The next samples of the order given to beginEpoch. */
  async fill(samples: Int32Array, _epoch: number, target: Tensor): Promise<void> {
    const { width } = this;
    const values = new Float32Array(target.size);
    for (let i = 0; i < samples.length; i++) {
      const next = await this.#stream!.next();
      if (next.done) throw new Error('the epoch has no more images');
      // Every training image was decoded once before training, so this one changed since.
      if ('error' in next.value)
        throw new UserError(next.value.error, 'The image became unreadable during training.');
      values.set(next.value.feature, i * width);
    }
    target.write(values);
  }
}
