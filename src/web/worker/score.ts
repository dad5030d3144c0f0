import type { RgbImage } from '../../data/images/decode.ts';
import { cropTransform, testTransform } from '../../data/images/transforms.ts';
import { nativeCrops } from '../../features/crops.ts';
import { decodeImage } from '../images/decode-image.ts';
import { type Changes, type MapsResult, noChanges, type ScoreResult } from '../protocol.ts';
import { changeImage, middleOf, rgbaOf } from './change-image.ts';
import type { PageEngine } from './engine.ts';

/** Side in pixels of the image that the page shows. */
const shownSide = 448;

/** The image that the page shows, and its score. */
export class ScoredPicture {
  readonly #engine: PageEngine;
  #image: RgbImage | undefined;
  #pixels: Uint8Array | undefined;
  #natives: readonly Uint8Array[] = [];

  constructor(engine: PageEngine) {
    this.#engine = engine;
  }

  async score(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<ScoreResult> {
    this.#image = await this.#engine.recovering(({ device }) => decodeImage(device, bytes, name));
    return this.change(noChanges);
  }

  async change(changes: Changes): Promise<ScoreResult> {
    const image = this.#image;
    if (!image) throw new Error('no image was given yet');
    const began = performance.now();
    const changed = await this.#engine.recovering(({ device }) => changeImage(device, image, changes));
    const { imageSize, crops } = this.#engine.scorer;
    const pixels = testTransform(changed, imageSize);
    this.#pixels = pixels;
    this.#natives = nativeCrops(changed, imageSize, crops);
    const score = await this.#engine.scorer.scoreWithCrops(pixels, this.#natives);
    const { left, top, side } = middleOf(changed);
    const box = { left, top, width: side, height: side };
    return {
      score,
      view: { side: shownSide, rgba: rgbaOf(cropTransform(changed, { box, flip: false }, shownSide)) },
      width: image.width,
      height: image.height,
      milliseconds: performance.now() - began,
    };
  }

  async explain(): Promise<MapsResult> {
    if (!this.#pixels) throw new Error('no image was given yet');
    const { side, relevance, attention, score } = await this.#engine.scorer.explain(
      this.#pixels,
      this.#natives,
    );
    return { side, relevance, attention, score };
  }
}
