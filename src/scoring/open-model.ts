import { UserError } from '../common/errors.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { recovering } from '../kernels/device/recovery.ts';
import type { Reading } from '../model/class-constants.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { clipOptions, defaultSettings, type Settings } from '../training/settings.ts';
import type { AntonymPair } from './antonyms.ts';
import { tellsClasses } from './classifier.ts';
import { type DoubtConstants, readDoubt, requireDoubt } from './doubt.ts';
import {
  isOriginalFolder,
  type OriginalModelOptions,
  originalHead,
  originalSettings,
} from './original-model.ts';
import { plainHead, readScoringConstants } from './scoring-constants.ts';
import { type ScoringModel, scoringModel } from './scoring-model.ts';
import { modelWeights, readModel } from './trained-model.ts';
import { zeroShotModel } from './zero-shot.ts';

/** `epoch`, `position` (default `end`) and `prompts` are for folders of the published trainer, which do not tell. */
export interface ScorerOptions extends Partial<OriginalModelOptions> {
  /** CLIP weights; by default those named in the model file. A folder of the published trainer names none. */
  readonly weights?: string | undefined;
  /** Which reading of a zero-shot model; by default the one it was made with. */
  readonly scoreBy?: Reading | undefined;
  /** Images the vision tower takes at once, 4 by default; another number may change the last bits of a score. */
  readonly batch?: number | undefined;
  /** Adds columns that say how sure each score is, as far as the model was trained to; see `doubtNames`. */
  readonly doubt?: boolean | undefined;
  /** Pairs of opposite texts, each of which gives a column: how much more an image is like the first, from 0 to 1 (CLIP-IQA). */
  readonly pairs?: readonly AntonymPair[] | undefined;
}

/** A model before it is on a device. */
export interface OpenedModel {
  /** `weights` is the path of its CLIP weights. */
  readonly settings: Settings;
  /** SHA-256 of the weights. */
  readonly id: string;
  /** For messages. */
  readonly path: string;
  readonly make: (device: Gpu) => ScoringModel;
  /** What it is to say of its doubt, where that is asked for. */
  readonly doubt?: DoubtConstants | undefined;
}

/** Opens what a path of a model names; see {@link Scorer.load}. */
export async function openTrained(gpu: Gpu, path: string, options: ScorerOptions): Promise<OpenedModel> {
  const model = isOriginalFolder(path) ? null : await readModel(path);
  const trained = model?.settings ?? originalSettings();
  const weights = await modelWeights(path, model, options.weights);
  const settings = { ...trained, weights: weights.path };
  const opened = { settings, id: weights.id, path };
  if (model) {
    if (tellsClasses(model))
      throw new UserError(
        `${path} tells classes apart, it does not score`,
        'Use the score or eval command, or Classifier of the library.',
      );
    const constants = readScoringConstants(
      model.constants,
      { ...trained, scoreBy: options.scoreBy ?? trained.scoreBy },
      path,
    );
    const doubt = options.doubt ? requireDoubt(readDoubt(model.constants, trained, path), path) : undefined;
    return { ...opened, doubt, make: (device) => scoringModel(device, constants) };
  }
  const { epoch, position = 'end', prompts } = options;
  const how = { epoch, position, prompts, ...clipOptions(settings) };
  const head = await recovering(gpu, (device) => originalHead(device, path, weights.path, how));
  return { ...opened, make: (device) => scoringModel(device, plainHead(head)) };
}

/** CLIP weights as a model of their own. */
export async function openZeroShot(gpu: Gpu, weights: string, options: ScorerOptions): Promise<OpenedModel> {
  const { scoreBy = 'antonyms' } = options;
  const path = weightsPath(weights);
  const settings: Settings = { ...defaultSettings(), trainer: 'zero-shot', weights: path, scoreBy };
  const id = await weightsId(path);
  return { settings, id, path: weights, make: await zeroShotModel(gpu, path, settings, scoreBy) };
}
