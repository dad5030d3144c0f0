import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { concat, reshape } from '../autograd/ops/shape.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { findNonFinite, requireFinite } from '../data/formats/finite.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { featureExtractor } from '../features/feature-extractor.ts';
import { type FeatureExtractor, ImageEncoder, type ImageTower } from '../features/image-encoder.ts';
import { OnDevice } from '../features/on-device.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import type { Reading } from '../model/class-constants.ts';
import { Clip } from '../model/clip.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { type Checkpoint, readCheckpoint } from '../training/checkpoint.ts';
import { missingResult } from '../training/run-folder.ts';
import { clipOptions, type Settings } from '../training/settings.ts';
import {
  isOriginalFolder,
  type OriginalModelOptions,
  originalHead,
  originalSettings,
} from './original-model.ts';
import { checkFeatureWidth, headModel, type ScoringModel, scoringModel } from './scoring-model.ts';

/** One image's score, in the unit of the MOS the model was trained on, or why there is none; `index` is its place in what was given. */
export type ScoredImage =
  | { readonly index: number; readonly path: string; readonly score: number }
  | { readonly index: number; readonly path: string; readonly error: string };

/** `epoch`, `position` (default `end`) and `prompts` are for folders of the published trainer, which do not tell. */
export interface ScorerOptions extends Partial<OriginalModelOptions> {
  /** CLIP weights; by default those named in the model file. A folder of the published trainer names none. */
  readonly weights?: string | undefined;
  /** Which reading of a zero-shot model; by default the one it was made with. */
  readonly scoreBy?: Reading | undefined;
  /** Images the vision tower takes at once, 4 by default; another number may change the last bits of a score. */
  readonly batch?: number | undefined;
}

/** All of a scorer that lives on a device. */
interface ScoringTower extends ImageTower {
  readonly clip: Clip;
  readonly scoring: ScoringModel;
}

/**
 * Scores images with a trained model. Needs the image tower and a head; the text features are constants. Where the device is
 * lost it goes on by itself on a new one, with the same results.
 */
export class Scorer {
  readonly settings: Settings;
  readonly #gpu: Gpu;
  readonly #tower: OnDevice<ScoringTower>;
  readonly #images: ImageEncoder;
  readonly #batch: number;

  private constructor(
    gpu: Gpu,
    tower: OnDevice<ScoringTower>,
    first: ScoringTower,
    settings: Settings,
    batch: number,
  ) {
    this.settings = settings;
    this.#gpu = gpu;
    this.#tower = tower;
    this.#batch = batch;
    const reopen = (device: Gpu) => tower.on(device);
    this.#images = new ImageEncoder(first.clip.gpu, first.vision, first.encoder, {
      batch,
      cache: null,
      reopen,
    });
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
        `${path}: the published trainer does not record which CLIP weights it used`,
        'Pass them with --weights, e.g. ViT-B-16.pt.',
      );
    const settings = { ...trained, weights };
    const id = await weightsId(weights);
    if (model && id !== model.weightsId)
      throw new UserError(
        `${weights} are not the weights this model was trained on`,
        'Pass the same file with --weights: a head only works on the features it was trained on.',
      );
    const { epoch, position = 'end', prompts } = options;
    const head = model
      ? null
      : await recovering(gpu, (device) =>
          originalHead(device, path, weights, { epoch, position, prompts, ...clipOptions(settings) }),
        );
    const tower = new OnDevice(async (device: Gpu): Promise<ScoringTower> => {
      if (device !== gpu && (await weightsId(weights)) !== id)
        throw new UserError(`${weights} has changed since it was opened`, 'Run the command again.');
      const scoring = head
        ? headModel(device, head)
        : scoringModel(device, model!, path, options.scoreBy ?? trained.scoreBy);
      try {
        const clip = await Clip.load(device, weights, { ...clipOptions(settings), text: false });
        try {
          checkFeatureWidth(scoring, featureExtractor(clip.vision, id, settings).width, path);
          return { clip, scoring, vision: clip.vision, encoder: scoreEncoder(clip, scoring, id, settings) };
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
    return new Scorer(gpu, tower, first, settings, options.batch ?? encodeBatch);
  }

  /** Scores files in order as they come; an unreadable one gives an error and the others go on. */
  async *score(paths: readonly string[]): AsyncIterable<ScoredImage> {
    const size = this.#images.imageSize;
    const jobs = paths.map((path) => ({ path, size, transform: { kind: 'test' as const } }));
    for await (const result of this.#images.encode(jobs)) {
      const { index } = result;
      const path = paths[index]!;
      if ('error' in result) yield { index, path, error: result.error };
      else yield { index, path, score: result.feature.at(-1)! };
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
    const [score] = await recovering(this.#gpu, async (device) => {
      const { scoring } = await this.#tower.on(device);
      const scores = scope(() => scoring.predict(Tensor.from(device, rows, [this.#batch, feature.length])));
      return scores.read().finally(() => scores.dispose());
    });
    if (!Number.isFinite(score)) throw new UserError(`the score is ${score}`, 'The model is damaged.');
    return score!;
  }

  /** Ends the image threads and frees the model; the device stays open. */
  async close(): Promise<void> {
    await this.#images.close();
    await this.#tower.latest?.then(
      ({ scoring, clip }) => {
        scoring.dispose();
        clip.dispose();
      },
      () => {}, // it was never made again
    );
  }
}

/**
 * The feature and, behind it, its score: computed on the GPU, and read back together a batch at a time. A head may make a
 * finite score of a feature that is not, so both are looked at.
 */
function scoreEncoder(
  clip: Clip,
  scoring: ScoringModel,
  weights: string,
  settings: Settings,
): FeatureExtractor {
  const { width, id, encode } = featureExtractor(clip.vision, weights, settings);
  return {
    width: width + 1,
    id: `${id} score`,
    encode: (patches) =>
      scope(() => {
        const features = encode(patches);
        const scores = scoring.predict(features);
        return concat([features, reshape(scores, [features.dim(0), 1])], 1);
      }),
    describe: (at) => (at === width ? 'its score' : `element ${at + 1} of ${width} of its feature`),
  };
}

/** The settings a model was trained with; of a folder of the published trainer, what is known of them. */
export async function trainedSettings(path: string): Promise<Settings> {
  return isOriginalFolder(path) ? originalSettings() : (await readModel(path)).settings;
}

/** A model file, or the one in a run's folder. */
export async function readModel(path: string): Promise<Checkpoint> {
  const found = await stat(path).catch(() => null);
  if (!found)
    throw new UserError(`${path}: no such file or folder`, 'Pass a run folder or its model.safetensors.');
  if (!found.isDirectory()) return readFinite(path);
  const file = join(path, 'model.safetensors');
  if (existsSync(file)) return readFinite(file);
  throw missingResult(
    path,
    new UserError(
      `${path} holds no model`,
      'Pass the folder of a training run (model.safetensors), or of the published trainer (prompt_learner/, regression/).',
    ),
  );
}

/** A checkpoint whose numbers are all finite: the head's ReLU would make a 0 of a NaN, and a score of it. */
async function readFinite(path: string): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(path);
  for (const part of [checkpoint.parameters, checkpoint.constants])
    for (const [name, { data, shape }] of part) requireFinite(data, shape, `${path}: tensor ${name}`);
  return checkpoint;
}
