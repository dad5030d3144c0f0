import type { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { type FeatureStatistics, featureStatistics } from '../model/feature-scaling.ts';

/** Features of images for the steps of a run: float32, `width` numbers an image. */
export interface FeatureSource {
  readonly width: number;
  /** Announces the samples of an epoch in the order in which fill() will ask for them. */
  beginEpoch?(order: Int32Array, epoch: number): Promise<void>;
  /** Writes the features of these samples (indices into the dataset), as seen in `epoch`, into `target` [n · width]. */
  fill(samples: Int32Array, epoch: number, target: Tensor): Promise<void>;
}

/** Features computed before training: `views` crops a sample, which the epochs take in turn. */
export class StoredFeatures implements FeatureSource {
  readonly width: number;
  readonly #views: number;
  readonly #rows: ReadonlyMap<number, Float32Array>; // sample → views · width
  #staging = new Float32Array(0);

  constructor(width: number, views: number, rows: ReadonlyMap<number, Float32Array>) {
    this.width = width;
    this.#views = views;
    this.#rows = rows;
  }

  /** Over every view of these samples. */
  statistics(samples: Int32Array): FeatureStatistics {
    return featureStatistics(
      Array.from(samples, (sample) => getOrThrow(this.#rows, sample)),
      this.width,
    );
  }

  /** The first view of a sample, [width]. */
  row(sample: number): Float32Array {
    return getOrThrow(this.#rows, sample).subarray(0, this.width);
  }

  fill(samples: Int32Array, epoch: number, target: Tensor): Promise<void> {
    const { width } = this;
    if (this.#staging.length !== target.size) this.#staging = new Float32Array(target.size);
    for (const [i, sample] of samples.entries()) {
      // Offset by the sample, so that an epoch mixes the views.
      const view = (epoch + sample) % this.#views;
      const views = getOrThrow(this.#rows, sample);
      this.#staging.set(views.subarray(view * width, (view + 1) * width), i * width);
    }
    target.write(this.#staging);
    return Promise.resolve();
  }
}
