import { UserError } from '../common/errors.ts';
import { type Reporter, silent } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { type Clip, type ClipOptions, noTextTower } from '../model/clip.ts';
import type { ClipConfig } from '../model/config.ts';
import { loadClip } from '../model/load-clip.ts';
import { checkTokens } from '../model/text.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { unit } from './cosine.ts';
import { encodeBatch } from './encode-batch.ts';
import { type EncodedInput, encodeInputs, type ImageInputs } from './encode-inputs.ts';
import { openFeatureCache } from './feature-cache.ts';
import { featureExtractor } from './feature-extractor.ts';
import { ImageEncoder, type ImageTower } from './image-encoder.ts';
import { OnDevice } from './on-device.ts';
import { encodeImageRows, encodeTokenRows, type WithClip } from './tensor-features.ts';
import { encodeTextsWith } from './text-features.ts';

/** What a {@link ClipEncoder} loads, and how. */
export interface ClipEncoderOptions extends ClipOptions {
  /** Images the image tower takes at once, 4 by default; another number may change the last bits of a feature. */
  readonly batch?: number | undefined;
  /** Folder in which features of images are kept, so that none is computed twice; made if need be. By default they are not kept. */
  readonly cache?: string | undefined;
  /** Called if the cache cannot be read or written. */
  readonly reporter?: Reporter | undefined;
}

/** How {@link ClipEncoder} encodes. */
export interface EncodeOptions {
  /** Gives features of unit length; by default they are as the model computes them, which makes no difference to `cosine`. */
  readonly normalize?: boolean | undefined;
}

/**
 * Features of images and texts in the joint space of a CLIP, as open_clip's `encode_image` and `encode_text` give them. The same image
 * has the same bits whatever it is encoded with, and several calls may run at a time. Where the device is lost it continues by itself on a new one.
 */
export class ClipEncoder {
  /** Of the model: sizes of its towers, its image size and context length, mean and standard deviation of its images. */
  readonly config: ClipConfig;
  /** Numbers of a feature. */
  readonly width: number;
  /** exp(logit_scale): what cosines are multiplied by before a softmax over texts. */
  readonly logitScale: number;
  readonly #tower: OnDevice<Clip>;
  readonly #run: WithClip;
  readonly #images: ImageEncoder | null;
  readonly #batch: number;

  private constructor(
    tower: OnDevice<Clip>,
    run: WithClip,
    clip: Clip,
    images: ImageEncoder | null,
    batch: number,
  ) {
    this.config = clip.config;
    this.#batch = batch;
    this.width = images ? images.encoder.width : clip.text.config.outputWidth;
    this.logitScale = clip.logitScale;
    this.#tower = tower;
    this.#run = run;
    this.#images = images;
  }

  /**
   * Opens a CLIP.
   *
   * @param weights any file or folder that `openClipWeights` knows; `embedded` is the small CLIP that comes with the package
   * @throws UserError if there are no such weights
   */
  static async load(gpu: Gpu, weights = 'embedded', options: ClipEncoderOptions = {}): Promise<ClipEncoder> {
    const { batch = encodeBatch, cache: folder, reporter = silent, ...load } = options;
    const { weightType = 'float32' } = load;
    const path = weightsPath(weights);
    const id = await weightsId(path);
    const tower = new OnDevice(async (device: Gpu) => {
      if (device !== gpu && (await weightsId(path)) !== id)
        throw new UserError(`${weights} has changed since it was opened`, 'Open it again.');
      return loadClip(device, path, load);
    });
    const run: WithClip = (work) => recovering(gpu, async (device) => work(await tower.on(device)));
    const clip = await run(async (loaded) => loaded);
    try {
      if (load.vision === false) return new ClipEncoder(tower, run, clip, null, batch);
      const feature = { trainer: 'clip-agiqa', layers: '', pool: 'cls', weightType } as const;
      const towerOf = ({ vision }: Clip): ImageTower => ({
        vision,
        encoder: featureExtractor(vision, id, feature),
      });
      const { vision, encoder } = towerOf(clip);
      const cache = await openFeatureCache(folder ?? 'none', {
        width: encoder.width,
        type: 'float32',
        warn: (line) => reporter.line(line),
      });
      const reopen = async (device: Gpu) => towerOf(await tower.on(device));
      const images = new ImageEncoder(clip.gpu, vision, encoder, { batch, cache, reopen });
      return new ClipEncoder(tower, run, clip, images, batch);
    } catch (error) {
      clip.dispose();
      throw error;
    }
  }

  /**
   * Features [width] of images (paths, `file:` URLs, bytes of encoded images, pixels), in order as they come; an unreadable one gives an
   * error and the others go on. Bytes and pixels must not change until their result is there.
   *
   * @param options.exif turns images as their EXIF orientation says; by default they are taken as they are stored
   * @throws UserError for what is no image at all, such as undefined
   */
  async *encodeImages(
    inputs: ImageInputs,
    options: EncodeOptions & { readonly exif?: boolean | undefined } = {},
  ): AsyncGenerator<EncodedInput, void, undefined> {
    if (!this.#images) throw new UserError('the image tower of this model was not loaded');
    for await (const result of encodeInputs(this.#images, inputs, { autoOrient: options.exif }))
      yield options.normalize && 'feature' in result ? { ...result, feature: unit(result.feature) } : result;
  }

  /**
   * Features [width] of texts, in their order.
   *
   * @param options.truncate reads the beginning of a text that is longer than the model's context; by default it is refused
   * @throws UserError if the weights have no text tower, or one of another vocabulary
   */
  async encodeTexts(
    texts: readonly string[],
    options: EncodeOptions & { readonly truncate?: boolean | undefined } = {},
  ): Promise<readonly Float32Array[]> {
    if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string'))
      throw new UserError('texts are given as an array of strings', 'For one text, pass [text].');
    const { features } = await encodeTextsWith(this.#run, texts, { truncate: options.truncate });
    return options.normalize ? features.map(unit) : features;
  }

  /**
   * Features [width] of images that are already preprocessed: [n, 3, size, size], normalized by the model's mean and standard deviation.
   *
   * @throws UserError if their length is no multiple of an image's, or a feature is not finite
   */
  async encodePreprocessed(images: Float32Array): Promise<readonly Float32Array[]> {
    const { imageSize } = this.config.vision;
    const each = 3 * imageSize ** 2;
    if (images.length === 0 || images.length % each > 0)
      throw new UserError(
        `${images.length} numbers are no images [n, 3, ${imageSize}, ${imageSize}]`,
        `An image takes ${each}.`,
      );
    return encodeImageRows(images, imageSize, this.#batch, this.#run);
  }

  /**
   * Features [width] of rows of token ids [n, context length], which end with the highest id.
   *
   * @throws UserError if the weights have no text tower, a token is none of its vocabulary, or a feature is not finite
   */
  async encodeTokens(tokens: Int32Array): Promise<readonly Float32Array[]> {
    const { text } = this.config;
    if (!text) throw noTextTower();
    checkTokens(tokens, text);
    return encodeTokenRows(tokens, text.contextLength, this.#run);
  }

  /** Ends the image threads and frees the model; the device stays open. */
  async close(): Promise<void> {
    await this.#images?.close();
    await this.#tower.latest?.then(
      (clip) => clip.dispose(),
      () => {}, // it was never made again
    );
  }
}
