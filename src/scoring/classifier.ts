import { UserError } from '../common/errors.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { encodeInputs, type ImageInputs } from '../features/encode-inputs.ts';
import type { EncodeTimes } from '../features/encode-times.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { ImageEncoder, type ImageTower } from '../features/image-encoder.ts';
import { OnDevice } from '../features/on-device.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import type { Clip } from '../model/clip.ts';
import { loadClip } from '../model/load-clip.ts';
import { clipOptions } from '../training/settings.ts';
import type { Checkpoint } from '../training/training-format.ts';
import { modelWeights, readModel } from './trained-model.ts';

/** An image's most probable class, or why there is none; `index` is its place in what was given. */
export type ClassifiedImage =
  | { readonly index: number; readonly path: string; readonly class: string; readonly probability: number }
  | { readonly index: number; readonly path: string; readonly error: string };

/** Whether a model tells classes apart instead of scoring (`train --class-column`). */
export const tellsClasses = ({ settings }: Pick<Checkpoint, 'settings'>): boolean =>
  settings.classColumn !== '';

/** A tower that can be freed. */
interface ClassifierTower extends ImageTower {
  readonly clip: Clip;
}

/**
 * Puts images into the classes that a model was trained on with `--class-column`: softmax of exp(logit_scale) · cosine of an image's
 * feature and those of the class names' prompts, which are constants.
 */
export class Classifier {
  /** In alphabetical order. */
  readonly classes: readonly string[];
  readonly #images: ImageEncoder;
  readonly #tower: OnDevice<ClassifierTower>;
  readonly #text: Float32Array;
  readonly #logitScale: number;

  private constructor(
    model: Checkpoint,
    constants: { readonly text: Float32Array; readonly logitScale: number },
    tower: OnDevice<ClassifierTower>,
    images: ImageEncoder,
  ) {
    this.classes = model.words;
    this.#text = constants.text;
    this.#logitScale = constants.logitScale;
    this.#tower = tower;
    this.#images = images;
  }

  /**
   * Opens a trained model of classes.
   *
   * @param path model.safetensors of a training run, or the run's folder
   * @throws UserError if there is none, or if the weights are not those it was trained on
   */
  static async load(
    gpu: Gpu,
    path: string,
    options: { readonly weights?: string | undefined; readonly batch?: number | undefined } = {},
  ): Promise<Classifier> {
    const model = await readModel(path);
    if (!tellsClasses(model))
      throw new UserError(`${path} scores images, it does not tell classes apart`, 'Score with it.');
    const { path: weights, id } = await modelWeights(path, model, options.weights);
    const tower = new OnDevice(async (device: Gpu): Promise<ClassifierTower> => {
      const clip = await loadClip(device, weights, { ...clipOptions(model.settings), text: false });
      return { clip, vision: clip.vision, encoder: featureExtractor(clip.vision, id, model.settings) };
    });
    const { clip, vision, encoder } = await recovering(gpu, (device) => tower.on(device));
    try {
      const constants = constantsOf(model, encoder.width, path);
      const batch = options.batch ?? encodeBatch;
      const reopen = (device: Gpu) => tower.on(device);
      const images = new ImageEncoder(clip.gpu, vision, encoder, { batch, cache: null, reopen });
      return new Classifier(model, constants, tower, images);
    } catch (error) {
      clip.dispose();
      throw error;
    }
  }

  /** Classifies images, given as Scorer.score takes them, in order as they come; an unreadable one gives an error and the others go on. */
  async *classify(inputs: ImageInputs): AsyncIterable<ClassifiedImage> {
    for await (const result of encodeInputs(this.#images, inputs)) {
      const { index, path } = result;
      if ('error' in result) yield { index, path, error: result.error };
      else yield { index, path, ...this.#best(result.feature) };
    }
  }

  #best(feature: Float32Array): { class: string; probability: number } {
    const length = Math.hypot(...feature);
    const logits = this.classes.map((_, row) => {
      const text = this.#text.subarray(row * feature.length, (row + 1) * feature.length);
      return (this.#logitScale * text.reduce((sum, value, i) => sum + value * feature[i]!, 0)) / length;
    });
    const most = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
    return { class: this.classes[logits.indexOf(most)]!, probability: 1 / total };
  }

  /** What images have taken so far. */
  get times(): EncodeTimes {
    return this.#images.times;
  }

  /** Ends the image threads and frees the model; the device stays open. */
  async close(): Promise<void> {
    await this.#images.close();
    await this.#tower.latest?.then(
      ({ clip }) => clip.dispose(),
      () => {}, // it was never made again
    );
  }
}

function constantsOf({ constants, words }: Checkpoint, width: number, path: string) {
  const text = constants.get('words.text');
  const logitScale = constants.get('words.logit_scale')?.data[0];
  if (!text || logitScale === undefined || text.shape.join() !== [words.length, width].join())
    throw new UserError(
      `${path}: its text features do not fit its ${words.length} classes and features of width ${width}`,
      'Pass model.safetensors, which a finished run writes; if it is one, it is damaged.',
    );
  return { text: text.data, logitScale };
}
