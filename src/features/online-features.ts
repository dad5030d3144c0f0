import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Sample } from '../data/datasets/index.ts';
import type { FeatureSource } from './feature-source.ts';
import type { EncodedPicture, PictureFeatures, UnreadablePicture } from './image-encoder.ts';

/** Features of a new random crop each step, as the published code trains: one stream an epoch, decoded ahead of the steps. */
export class OnlineFeatures implements FeatureSource {
  readonly #pictures: PictureFeatures;
  readonly #samples: readonly Sample[];
  readonly #seed: number;
  #stream: AsyncIterator<EncodedPicture | UnreadablePicture> | undefined;

  constructor(pictures: PictureFeatures, samples: readonly Sample[], seed: number) {
    this.#pictures = pictures;
    this.#samples = samples;
    this.#seed = seed;
  }

  get width(): number {
    return this.#pictures.encoder.width;
  }

  async beginEpoch(order: Int32Array, epoch: number): Promise<void> {
    await this.#stream?.return?.();
    const jobs = Array.from(order, (sample) => ({
      path: this.#samples[sample]!.path,
      size: this.#pictures.imageSize,
      transform: { kind: 'crop' as const, seed: this.#seed, epoch, index: sample },
    }));
    this.#stream = this.#pictures.encode(jobs)[Symbol.asyncIterator]();
  }

  /** The next samples of the order given to beginEpoch. */
  async fill(samples: Int32Array, _epoch: number, target: Tensor): Promise<void> {
    const { width } = this;
    const values = new Float32Array(target.size);
    for (let i = 0; i < samples.length; i++) {
      const next = await this.#stream!.next();
      if (next.done) throw new Error('the epoch has no more pictures');
      // Every training picture was decoded once before training, so this one changed since.
      if ('error' in next.value)
        throw new UserError(next.value.error, 'The picture became unreadable during training.');
      values.set(next.value.feature, i * width);
    }
    target.write(values);
  }
}
