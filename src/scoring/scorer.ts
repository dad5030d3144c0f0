import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { type Reporter, silent } from '../common/reporter.ts';
import { findNonFinite } from '../data/formats/finite.ts';
import { cosineToUnit } from '../features/cosine.ts';
import { joinCrops, joinedWidth } from '../features/crops.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { encodeInputs, type ImageInputs } from '../features/encode-inputs.ts';
import { addedTimes, type EncodeTimes } from '../features/encode-times.ts';
import { cropsOf, featureExtractor } from '../features/feature-extractor.ts';
import { type FeatureExtractor, ImageEncoder, type ImageTower } from '../features/image-encoder.ts';
import { OnDevice } from '../features/on-device.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import { loadClip } from '../model/load-clip.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import { pairProbability } from './antonyms.ts';
import { cropEncoder, encoderBesideText, scoreEncoder } from './encoders.ts';
import { imageDoubt } from './image-doubt.ts';
import { type OpenedModel, openTrained, openZeroShot, type ScorerOptions } from './open-model.ts';
import { encodePairs, type PairTexts } from './pair-texts.ts';
import { PixelScorer, readOut, type ScoringTower } from './pixel-scorer.ts';
import { encodePrompts } from './prompt-texts.ts';
import { checkFeatureWidth } from './scoring-constants.ts';

/** One image's score, in the unit of the MOS the model was trained on, or why there is none; `index` is its place in what was given, `path` that of
 * its file, or the name of one that was given as bytes or pixels. */
export type ScoredImage =
  | {
      readonly index: number;
      readonly path: string;
      readonly score: number;
      /** What was asked for besides, by name: `sharp|blurry` of a pair, {@link promptColumn} of an image with a prompt. */
      readonly columns?: Readonly<Record<string, number>>;
    }
  | { readonly index: number; readonly path: string; readonly error: string };

/** The column of the cosine of an image's feature and that of its own prompt, in CLIP's joint space, from -1 to 1. */
export const promptColumn = 'prompt_cosine';

/** What {@link Scorer.score} is to do besides scoring. */
export interface ScoreOptions {
  /** The text each image was made from, where it has one, in the order of the images: gives the column {@link promptColumn}. */
  readonly prompts?: readonly (string | undefined)[] | undefined;
  /** Turns images as their EXIF orientation says. By default they are scored as they are stored, as the published code does. */
  readonly exif?: boolean | undefined;
  /** Shown how far it has come, with texts and with images. */
  readonly reporter?: Reporter | undefined;
  /** What its bar calls the work on images; `scoring` by default. */
  readonly label?: string | undefined;
}

/** What is read off what an image's encoder gives. */
interface ReadImage {
  readonly score: number;
  readonly projected: Float32Array;
  readonly doubt?: Readonly<Record<string, number>>;
}

/**
 * Scores images with a trained model, or with CLIP as it is. Needs the image tower and a head; the text features are constants.
 * Where the device is lost it goes on by itself on a new one, with the same results.
 */
export class Scorer {
  readonly settings: Settings;
  readonly #gpu: Gpu;
  readonly #model: OpenedModel;
  readonly #tower: OnDevice<ScoringTower>;
  readonly #first: ScoringTower;
  readonly #batch: number;
  readonly #pairs: readonly PairTexts[];
  readonly #logitScale: number;
  #images: ImageEncoder | undefined;
  #imagesBesideText: ImageEncoder | undefined;

  private constructor(
    gpu: Gpu,
    model: OpenedModel,
    tower: OnDevice<ScoringTower>,
    first: ScoringTower,
    pairs: readonly PairTexts[],
    batch: number,
  ) {
    this.settings = model.settings;
    this.#gpu = gpu;
    this.#model = model;
    this.#tower = tower;
    this.#first = first;
    this.#pairs = pairs;
    this.#logitScale = first.clip.logitScale;
    this.#batch = batch;
  }

  /**
   * Opens a trained model.
   *
   * @param path model.safetensors of a training run, the run's folder, or a results folder of the published trainer; `embedded` is
   *   the model that comes with the package, for the quality of AI-generated images
   * @throws UserError if there is no model, or if the weights are not those it was trained on
   */
  static async load(gpu: Gpu, path: string, options: ScorerOptions = {}): Promise<Scorer> {
    return Scorer.#open(gpu, await openTrained(gpu, path, options), options);
  }

  /**
   * CLIP as it is, without a model that was trained on it: scores from 0 to 1, by "Good photo." against "Bad photo." (CLIP-IQA),
   * or with `scoreBy: 'words'` by the quality words, from terrible to perfect.
   *
   * @param weights CLIP weights with a text tower
   */
  static async zeroShot(
    gpu: Gpu,
    weights = 'embedded',
    options: Pick<ScorerOptions, 'scoreBy' | 'batch' | 'pairs'> = {},
  ): Promise<Scorer> {
    return Scorer.#open(gpu, await openZeroShot(gpu, weights, options), options);
  }

  static async #open(gpu: Gpu, model: OpenedModel, options: ScorerOptions): Promise<Scorer> {
    const { settings, id, path, make } = model;
    const pairs = await encodePairs(gpu, settings, options.pairs ?? []);
    const tower = new OnDevice(async (device: Gpu): Promise<ScoringTower> => {
      if (device !== gpu && (await weightsId(settings.weights)) !== id)
        throw new UserError(`${settings.weights} has changed since it was opened`, 'Run the command again.');
      const scoring = make(device);
      try {
        const clip = await loadClip(device, settings.weights, { ...clipOptions(settings), text: false });
        try {
          const { width } = featureExtractor(clip.vision, id, settings);
          checkFeatureWidth(scoring.width, joinedWidth(width, cropsOf(settings)), path);
          return { clip, scoring };
        } catch (error) {
          clip.dispose();
          throw error;
        }
      } catch (error) {
        scoring.dispose();
        throw error;
      }
    });
    const first = await recovering(gpu, (device) => tower.on(device));
    return new Scorer(gpu, model, tower, first, pairs, options.batch ?? encodeBatch);
  }

  /**
   * Scores images (paths, `file:` URLs, bytes of encoded images, pixels) in order as they come; an unreadable one gives an error and
   * the others go on. The same bytes give the same score, in a file or not. Bytes and pixels are copied to the threads that decode
   * them and must not change until their result is there.
   *
   * @throws UserError for what is no image at all, such as undefined
   */
  async *score(inputs: ImageInputs, options: ScoreOptions = {}): AsyncIterable<ScoredImage> {
    const { prompts, exif = false, reporter = silent, label = 'scoring' } = options;
    const texts = prompts ? await encodePrompts(this.#gpu, this.settings, prompts, reporter) : null;
    const beside = texts !== null || this.#pairs.length > 0;
    const images = beside ? this.#withText : this.#plain;
    // Nobody knows how many an iterable will give.
    const bar = (Array.isArray(inputs) ? reporter : silent).bar(
      label,
      Array.isArray(inputs) ? inputs.length : 0,
    );
    try {
      for await (const result of encodeInputs(images, inputs, { autoOrient: exif, crops: this.#crops })) {
        const { index, path } = result;
        bar.advance();
        if ('error' in result) yield { index, path, error: result.error };
        else {
          const { score, projected, doubt } = await this.#read(result.feature);
          if (!beside && !doubt) yield { index, path, score };
          else {
            const columns = beside ? this.#columns(projected, texts?.get(prompts![index])) : {};
            yield { index, path, score, columns: { ...columns, ...doubt } };
          }
        }
      }
    } finally {
      bar.stop();
    }
  }

  /** The score of one image feature (not normalized). */
  async scoreFeature(feature: Float32Array): Promise<number> {
    const at = findNonFinite(feature)?.first;
    if (at !== undefined)
      throw new UserError(`element ${at + 1} of ${feature.length} of the feature is ${feature[at]}`);
    // In a batch of the usual shape, as score() has it.
    const rows = new Float32Array(this.#batch * feature.length);
    rows.set(feature);
    const [score] = await this.#on(({ scoring }, device) =>
      readOut(() => scoring.predict(Tensor.from(device, rows, [this.#batch, feature.length]))),
    );
    if (!Number.isFinite(score)) throw new UserError(`the score is ${score}`, 'The model is damaged.');
    return score!;
  }

  /** The model on images that are ready for the network: why their scores are what they are. */
  get pixels(): PixelScorer {
    const { id, settings } = this.#model;
    const { imageSize } = this.#first.clip.vision.config;
    return new PixelScorer({ imageSize, id, settings, on: (work) => this.#on(work) });
  }

  /** Works with all of the model that lives on a device, again on another where that one was lost. */
  #on<T>(work: (tower: ScoringTower, device: Gpu) => Promise<T>): Promise<T> {
    return recovering(this.#gpu, async (device) => work(await this.#tower.on(device), device));
  }

  /** What images have taken so far. */
  get times(): EncodeTimes {
    return addedTimes([this.#images, this.#imagesBesideText].flatMap((images) => images?.times ?? []));
  }

  /** Ends the image threads and frees the model; the device stays open. */
  async close(): Promise<void> {
    await this.#images?.close();
    await this.#imagesBesideText?.close();
    await this.#tower.latest?.then(
      ({ scoring, clip }) => {
        scoring.dispose();
        clip.dispose();
      },
      () => {}, // it was never made again
    );
  }

  /** Whether scores are computed apart from features: of several crops together, or with what they say of their doubt. */
  get #apart(): boolean {
    return this.#crops > 0 || this.#model.doubt !== undefined;
  }

  get #crops(): number {
    return cropsOf(this.settings);
  }

  get #plain(): ImageEncoder {
    this.#images ??= this.#encoder(({ clip, scoring }) =>
      this.#apart
        ? featureExtractor(clip.vision, this.#model.id, this.settings)
        : scoreEncoder(clip.vision, scoring, this.#model),
    );
    return this.#images;
  }

  get #withText(): ImageEncoder {
    this.#imagesBesideText ??= this.#encoder(({ clip, scoring }) =>
      this.#apart
        ? cropEncoder(clip.vision, this.#model)
        : encoderBesideText(clip.vision, scoring, this.#model),
    );
    return this.#imagesBesideText;
  }

  #encoder(make: (tower: ScoringTower) => FeatureExtractor): ImageEncoder {
    const towerOf = (tower: ScoringTower): ImageTower => ({
      vision: tower.clip.vision,
      encoder: make(tower),
    });
    const { vision, encoder } = towerOf(this.#first);
    return new ImageEncoder(this.#first.clip.gpu, vision, encoder, {
      batch: this.#batch,
      cache: null,
      reopen: async (device) => towerOf(await this.#tower.on(device)),
    });
  }

  /** The score of an image, and its projected feature where texts are wanted, from what its encoder gives for each of its crops. */
  async #read(values: Float32Array): Promise<ReadImage> {
    const { featureWidth } = this.#first.clip.vision;
    // Behind the feature that the model takes, where that is another one.
    if (!this.#apart)
      return { score: values.at(-1)!, projected: values.subarray(values.length - 1 - featureWidth, -1) };
    const count = this.#crops + 1;
    const width = values.length / count;
    const taken = this.#first.scoring.width / (this.#crops > 0 ? 2 : 1);
    const features = new Float32Array(count * taken);
    for (let crop = 0; crop < count; crop++)
      features.set(values.subarray(crop * width, crop * width + taken), crop * taken);
    const score = await this.scoreFeature(joinCrops(features, taken));
    const projected = values.subarray(width - featureWidth, width);
    const { doubt } = this.#model;
    if (!doubt) return { score, projected };
    const image = { score, features, crops: this.#crops };
    return { score, projected, doubt: await imageDoubt(doubt, image, (work) => this.#on(work)) };
  }

  #columns(projected: Float32Array, prompt: Float32Array | undefined): Record<string, number> {
    const columns: Record<string, number> = {};
    for (const { name, texts } of this.#pairs)
      columns[name] = pairProbability(projected, texts, this.#logitScale);
    if (prompt) columns[promptColumn] = cosineToUnit(projected, prompt);
    return columns;
  }
}
