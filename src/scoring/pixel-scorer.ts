import { concat, expand } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { cropsOf, featureExtractor } from '../features/feature-extractor.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Clip } from '../model/clip.ts';
import { type Explanation, explain } from '../model/explain.ts';
import type { Settings } from '../training/settings.ts';
import type { ScoringModel } from './scoring-model.ts';

/** All of a scorer that lives on a device. */
export interface ScoringTower {
  readonly clip: Clip;
  readonly scoring: ScoringModel;
}

/** Does work with the tower, and does it again on another device where the one it began on was lost. */
export type WithTower = <T>(work: (tower: ScoringTower, device: Gpu) => Promise<T>) => Promise<T>;

interface PixelModel {
  readonly imageSize: number;
  /** SHA-256 of the weights. */
  readonly id: string;
  readonly settings: Settings;
  /** Images that go through the tower at once; 16 by default. */
  readonly batch?: number;
  readonly on: WithTower;
}

/** Images that go through the tower at once where nobody asks for another number. */
const usualBatch = 16;

/**
 * A scoring model on images as `preprocess` makes them for it: what a program needs to ask what a score depends on. A model that also reads
 * native crops is given them beside the image; where it is not, it takes those of an average training image, and the score lacks what the image's own would have added.
 */
export class PixelScorer {
  readonly #model: PixelModel;

  constructor(model: PixelModel) {
    this.#model = model;
  }

  /** Side in pixels of the square images that it takes. */
  get imageSize(): number {
    return this.#model.imageSize;
  }

  /**
   * Which patches of an image raise its score, and which lower it: gradient-weighted relevance, by one forward and one backward pass.
   *
   * @param pixels RGB bytes, row by row, imageSize · imageSize · 3
   * @param natives crops of the image at its own resolution, of the same size, for a model that reads them
   * @throws UserError if it has another size
   */
  explain(pixels: Uint8Array, natives: readonly Uint8Array[] = []): Promise<Explanation> {
    for (const image of [pixels, ...natives]) this.#check(image);
    return this.#model.on(async (tower, device) => {
      const { vision } = tower.clip;
      const patches = scope(() => vision.patchesFromBytes(byteTensor(device, pixels.slice(), 1)));
      const crops = natives.length > 0 ? await this.#meanFeature(tower, device, natives) : undefined;
      const score = (x: Tensor) => this.#scores(tower, x, crops);
      return explain({ vision, score }, patches).finally(() => patches.dispose());
    });
  }

  /** Scores of images, each as {@link explain} takes it. Their last bits may differ from those that files get, which come in other batches. */
  async score(images: readonly Uint8Array[]): Promise<Float32Array> {
    const result = new Float32Array(images.length);
    const size = 3 * this.imageSize ** 2;
    const { batch = usualBatch } = this.#model;
    const pixels = new Uint8Array(batch * size);
    for (let at = 0; at < images.length; at += batch) {
      const part = images.slice(at, at + batch);
      for (const [i, image] of part.entries()) {
        this.#check(image);
        pixels.set(image, i * size);
      }
      const scores = await this.#model.on((tower, device) =>
        readOut(() =>
          this.#scores(tower, tower.clip.vision.patchesFromBytes(byteTensor(device, pixels, batch))),
        ),
      );
      result.set(scores.subarray(0, part.length), at);
    }
    return result;
  }

  /** The score of one image with its native crops, each as {@link explain} takes them. */
  async scoreWithCrops(pixels: Uint8Array, natives: readonly Uint8Array[]): Promise<number> {
    if (natives.length === 0) return (await this.score([pixels]))[0]!;
    for (const image of [pixels, ...natives]) this.#check(image);
    const [score] = await this.#model.on(async (tower, device) => {
      const crops = await this.#meanFeature(tower, device, natives);
      const { vision } = tower.clip;
      return readOut(() =>
        this.#scores(tower, vision.patchesFromBytes(byteTensor(device, pixels.slice(), 1)), crops),
      );
    });
    return score!;
  }

  /** Native crops that the model reads beside an image. */
  get crops(): number {
    return cropsOf(this.#model.settings);
  }

  /** The mean feature of crops, one at a time: other batches would mean other kernels. */
  async #meanFeature(
    { clip }: ScoringTower,
    device: Gpu,
    images: readonly Uint8Array[],
  ): Promise<Float32Array> {
    const { id, settings } = this.#model;
    const { encode, width } = featureExtractor(clip.vision, id, settings);
    const mean = new Float32Array(width);
    for (const image of images) {
      const feature = await readOut(() =>
        encode(clip.vision.patchesFromBytes(byteTensor(device, image.slice(), 1))),
      );
      for (let i = 0; i < width; i++) mean[i]! += feature[i]! / images.length;
    }
    return mean;
  }

  #check(pixels: Uint8Array): void {
    const { imageSize } = this;
    if (pixels.length !== 3 * imageSize ** 2)
      throw new UserError(
        `an image for this model has ${imageSize} x ${imageSize} pixels of 3 bytes, not ${pixels.length} bytes`,
        `Make it by preprocess(image, { size: ${imageSize} }).`,
      );
  }

  #scores({ clip, scoring }: ScoringTower, patches: Tensor, natives?: Float32Array): Tensor {
    const { id, settings } = this.#model;
    const { encode } = featureExtractor(clip.vision, id, settings);
    return scope(() => {
      const features = encode(patches);
      if (cropsOf(settings) === 0) return scoring.predict(features);
      const [batch, width] = features.shape as [number, number];
      const average = natives ?? scoring.statistics?.mean.slice(width);
      const crops = average ? expand(Tensor.from(features.gpu, average), batch) : features;
      return scoring.predict(concat([features, crops], 1));
    });
  }
}

/** @param pixels fill a buffer of their own */
const byteTensor = (gpu: Gpu, { buffer }: Uint8Array, count: number): Tensor =>
  Tensor.from(gpu, new Uint32Array(buffer), [count, buffer.byteLength / 4 / count]);

/** The values of a tensor, which is freed. */
export async function readOut(compute: () => Tensor): Promise<Float32Array> {
  const tensor = scope(compute);
  return tensor.read().finally(() => tensor.dispose());
}
