import { existsSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { requireFinite } from '../data/formats/finite.ts';
import { modelPath, weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { readCheckpoint } from '../training/checkpoint.ts';
import { missingResult } from '../training/run-folder.ts';
import type { Settings } from '../training/settings.ts';
import type { Checkpoint } from '../training/training-format.ts';
import { isOriginalFolder, originalSettings } from './original-model.ts';

/** The settings a model was trained with; of a folder of the published trainer, what is known of them. */
export async function trainedSettings(path: string): Promise<Settings> {
  return isOriginalFolder(path) ? originalSettings() : (await readModel(path)).settings;
}

/** A model file, the one in a run's folder, or the `embedded` one. */
export async function readModel(path: string): Promise<Checkpoint> {
  const place = modelPath(path);
  const found = await stat(place).catch(() => null);
  if (!found)
    throw new UserError(`${path}: no such file or folder`, 'Pass a run folder or its model.safetensors.');
  if (!found.isDirectory()) return readFinite(place);
  const file = join(place, 'model.safetensors');
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

/**
 * The CLIP weights a model scores with, and their id.
 *
 * @param given what the user names; by default those that the model names, wherever it was trained
 * @throws UserError if there are none, or if they are not those that the model was trained on
 */
export async function modelWeights(
  path: string,
  model: Checkpoint | null,
  given: string | undefined,
): Promise<{ readonly path: string; readonly id: string }> {
  const weights = given ? weightsPath(given) : model && namedWeights(path, model.settings.weights);
  if (!weights)
    throw new UserError(
      `${path}: the published trainer does not record which CLIP weights it used`,
      'Pass them with --weights, e.g. ViT-B-16.pt.',
    );
  const id = await weightsId(weights);
  if (model && id !== model.weightsId)
    throw new UserError(
      `${weights} are not the weights this model was trained on`,
      'Pass the same file with --weights: a head only works on the features it was trained on.',
    );
  return { path: weights, id };
}

/** Where a model's own weights are: where they were, or beside the model where both have moved. */
function namedWeights(path: string, name: string): string {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : dirname(path);
  const places = [weightsPath(name), resolve(folder, name), join(folder, basename(name))];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new UserError(
    `${path} was trained with the CLIP weights ${name}, which are not there`,
    'Pass them with --weights.',
  );
}
