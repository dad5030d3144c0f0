import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import type { Gpu } from '../kernels/gpu.ts';
import { Clip } from '../model/clip.ts';
import { weightsPath } from '../model/embedded.ts';
import { weightsId } from '../model/weights-id.ts';
import { type Checkpoint, missingResult, readCheckpoint } from '../training/checkpoint.ts';
import type { Reading } from '../training/class-constants.ts';
import { pictureEncoder } from '../training/encoders.ts';
import { PictureFeatures } from '../training/picture-features.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import {
  isOriginalFolder,
  type OriginalModelOptions,
  originalHead,
  originalSettings,
} from './original-model.ts';
import { headModel, type ScoringModel, scoringModel } from './scoring-model.ts';

/** One picture's score, in the unit of the MOS the model was trained on, or why there is none; `index` is its place in what was given. */
export type ScoredPicture =
  | { readonly index: number; readonly path: string; readonly score: number }
  | { readonly index: number; readonly path: string; readonly error: string };

/** `epoch`, `position` (default `end`) and `prompts` are for folders of the published trainer, which do not tell. */
export interface ScorerOptions extends Partial<OriginalModelOptions> {
  /** CLIP weights; by default those named in the model file. A folder of the published trainer names none. */
  readonly weights?: string;
  /** Which reading of a zero-shot model; by default the one it was made with. */
  readonly scoreBy?: Reading;
  /** Pictures the vision tower takes at once. */
  readonly batch?: number;
}

/** Scores pictures with a trained model. Needs the image tower and a head; the text features are constants. */
export class Scorer {
  readonly settings: Settings;
  readonly #clip: Clip;
  readonly #pictures: PictureFeatures;
  readonly #model: ScoringModel;

  private constructor(clip: Clip, pictures: PictureFeatures, model: ScoringModel, settings: Settings) {
    this.#clip = clip;
    this.#pictures = pictures;
    this.#model = model;
    this.settings = settings;
  }

  /**
   * Opens a trained model.
   *
   * @param path model.safetensors of a training run, the run's folder, or a results folder of the published trainer
   * @throws UserError if there is no model, or if the weights are not those it was trained on
   */
  static async load(gpu: Gpu, path: string, options: ScorerOptions = {}): Promise<Scorer> {
    const model = isOriginalFolder(path) ? null : await readModel(path);
    const trained = model?.settings ?? originalSettings();
    const weights = weightsPath(options.weights || trained.weights);
    if (weights === '')
      throw new UserError(
        `${path}: the published trainer does not say which CLIP weights it used`,
        'Give them with --weights, e.g. ViT-B-16.pt.',
      );
    const settings = { ...trained, weights };
    const id = await weightsId(weights);
    if (model && id !== model.weightsId)
      throw new UserError(
        `${weights} are not the weights this model was trained on`,
        'Give the same file with --weights: a head reads no other features.',
      );
    const { epoch, position = 'end', prompts } = options;
    const scoring = model
      ? scoringModel(gpu, model, path, options.scoreBy ?? trained.scoreBy)
      : headModel(
          gpu,
          await originalHead(gpu, path, weights, { epoch, position, prompts, ...clipOptions(settings) }),
        );
    const clip = await Clip.load(gpu, weights, { ...clipOptions(settings), text: false });
    const { id: featureId, encode } = pictureEncoder(clip.vision, id, settings);
    // The score follows the feature on the GPU: one number a picture is read back, a batch at a time.
    const encoder = {
      width: 1,
      id: `${featureId} score`,
      encode: (patches: Tensor) => scope(() => scoring.predict(encode(patches))),
    };
    const batch = options.batch ?? settings.encodeBatch;
    const pictures = new PictureFeatures(gpu, clip.vision, encoder, { batch, cache: null });
    return new Scorer(clip, pictures, scoring, settings);
  }

  /** Scores files in order as they come; an unreadable one gives an error and the others go on. */
  async *score(paths: readonly string[]): AsyncIterable<ScoredPicture> {
    const size = this.#pictures.imageSize;
    const jobs = paths.map((path) => ({ path, size, transform: { kind: 'test' as const } }));
    for await (const result of this.#pictures.encode(jobs)) {
      const { index } = result;
      const path = paths[index]!;
      if ('error' in result) yield { index, path, error: result.error };
      else yield { index, path, score: result.feature[0]! };
    }
  }

  /** The score of one picture feature (not normalised). */
  async scoreFeature(feature: Float32Array): Promise<number> {
    const score = scope(() => this.#model.predict(Tensor.from(this.#clip.gpu, feature, [1, feature.length])));
    const [value] = await score.read();
    score.dispose();
    return value!;
  }

  /** Ends the picture threads and frees the model; the device stays open. */
  async close(): Promise<void> {
    await this.#pictures.close();
    this.#model.dispose();
    this.#clip.dispose();
  }
}

/** The settings a model was trained with; of a folder of the published trainer, what is known of them. */
export async function trainedSettings(path: string): Promise<Settings> {
  return isOriginalFolder(path) ? originalSettings() : (await readModel(path)).settings;
}

/** A model file, or the one in a run's folder. */
export async function readModel(path: string): Promise<Checkpoint> {
  const found = await stat(path).catch(() => null);
  if (!found)
    throw new UserError(
      `${path}: there is no such file or folder`,
      'Give a run folder or its model.safetensors.',
    );
  if (!found.isDirectory()) return readCheckpoint(path);
  const file = join(path, 'model.safetensors');
  if (existsSync(file)) return readCheckpoint(file);
  throw missingResult(
    path,
    new UserError(
      `${path} holds no model`,
      'Give the folder of a training run (model.safetensors), or of the published trainer (prompt_learner/, regression/).',
    ),
  );
}
