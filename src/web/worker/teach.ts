import { scope } from '../../autograd/scope.ts';
import { Tensor } from '../../autograd/tensor.ts';
import { collect } from '../../common/collect.ts';
import { UserError } from '../../common/errors.ts';
import { cropTransform, testTransform } from '../../data/images/transforms.ts';
import { metricsOf } from '../../data/metrics/evaluation.ts';
import { featureExtractor } from '../../features/feature-extractor.ts';
import { trainingBytes } from '../../training/training-format.ts';
import { decodeImage } from '../images/decode-image.ts';
import type { TaughtImage, TaughtResult, TeachArgs } from '../protocol.ts';
import { middleOf, rgbaOf } from './change-image.ts';
import type { PageEngine } from './engine.ts';
import { pageSettings, type RatedFeatures, trainInPage } from './train.ts';

/** Side in pixels of the images in the page's list. */
const shownSide = 160;

/** The fewest ratings that a head is trained on. */
export const fewestRatings = 6;

/** Parts that are held out in turn, to see how well what is not rated is foretold. */
const folds = 4;

/** Images that the user rates, and heads trained on them. */
export class Teaching {
  readonly #engine: PageEngine;
  readonly #features = new Map<number, Float32Array>();
  #next = 0;

  constructor(engine: PageEngine) {
    this.#engine = engine;
  }

  /** Takes an image: its feature is all that is kept of it here. */
  async add(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<TaughtImage> {
    const engine = this.#engine;
    const image = await engine.recovering(({ device }) => decodeImage(device, bytes, name));
    const pixels = testTransform(image, engine.scorer.imageSize);
    const [score] = await engine.scorer.score([pixels]);
    const feature = await this.#featureOf(pixels);
    const id = this.#next++;
    this.#features.set(id, feature);
    const { left, top, side } = middleOf(image);
    const box = { left, top, width: side, height: side };
    return {
      id,
      score: score!,
      view: { side: shownSide, rgba: rgbaOf(cropTransform(image, { box, flip: false }, shownSide)) },
    };
  }

  remove(id: number): void {
    this.#features.delete(id);
  }

  /** What the embedded model's head reads of an image. */
  #featureOf(pixels: Uint8Array): Promise<Float32Array> {
    const { settings, weightsId } = this.#engine.model;
    return this.#engine.recovering(async (gpu) => {
      const { vision } = (await this.#engine.tower(gpu)).clip;
      const { encode } = featureExtractor(vision, weightsId, settings);
      const feature = scope(() => {
        const words = new Uint32Array(pixels.slice().buffer);
        return encode(vision.patchesFromBytes(Tensor.from(gpu, words, [1, words.length])));
      });
      return feature.read().finally(() => feature.dispose());
    });
  }

  /**
   * Trains a head on the ratings, and says how well heads trained on three quarters of them foretell the rest.
   *
   * @throws UserError for too few ratings, or ratings that are all the same
   */
  async teach(
    { ratings, epochs, seed }: TeachArgs,
    tell: (share: number) => void,
    signal: AbortSignal,
  ): Promise<TaughtResult> {
    const known = ratings.filter(({ id }) => this.#features.has(id));
    if (known.length < fewestRatings)
      throw new UserError(
        `${known.length} images are rated`,
        `Rate at least ${fewestRatings}, better twenty.`,
      );
    if (new Set(known.map(({ rating }) => rating)).size < 2)
      throw new UserError('all ratings are the same', 'Rate some images higher than others.');
    const images: RatedFeatures = {
      width: this.#features.get(known[0]!.id)!.length,
      rows: new Map(known.map(({ id }, i) => [i, this.#features.get(id)!])),
      mos: Float32Array.from(known, ({ rating }) => rating),
      train: new Int32Array(),
      test: new Int32Array(),
    };
    const { model } = this.#engine;
    const settings = pageSettings({
      trainer: 'image-only',
      data: 'csv',
      pool: model.settings.pool,
      layers: model.settings.layers,
      scaling: 'standard',
      mosScaling: 'standard',
      hidden: 64,
      lr: 0.001,
      weightDecay: 0.01,
      batchSize: Math.max(2, Math.min(8, Math.floor(known.length / 2))),
      epochs,
      seed,
    });
    let done = 0;
    const run = (train: Int32Array, predict: Int32Array) =>
      this.#engine.recovering((gpu) =>
        trainInPage(gpu, {
          weights: this.#engine.weights,
          weightsId: model.weightsId,
          vocabulary: null,
          rated: { ...images, train },
          predict,
          settings,
          signal,
          onEpoch: () => tell(++done / ((folds + 1) * epochs)),
        }),
      );
    const all = Int32Array.from(known, (_, i) => i);
    const foretold = new Float32Array(known.length);
    for (let fold = 0; fold < folds; fold++) {
      const held = all.filter((i) => i % folds === fold);
      const { predictions } = await run(
        all.filter((i) => i % folds !== fold),
        held,
      );
      for (const [at, sample] of held.entries()) foretold[sample] = predictions[at]!;
    }
    const { model: trained, predictions } = await run(all, all);
    const mos = known.map(({ rating }) => rating);
    const { srcc, rmse } = metricsOf([...foretold], mos);
    return {
      file: await collect(trainingBytes(trained)),
      foretold: { srcc: Number.isFinite(srcc) ? srcc : null, rmse },
      predictions: known.map(({ id }, i) => ({ id, rating: predictions[i]!, foretold: foretold[i]! })),
    };
  }
}
