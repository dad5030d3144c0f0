import * as v from 'valibot';
import { UserError } from '../common/errors.ts';
import { parseJson } from '../common/json.ts';
import type { HostTensor, TensorFile } from '../data/formats/tensor.ts';
import {
  type CheckpointFormat,
  type CheckpointHeader,
  checkpointBytes,
  checkpointHeader,
  readPart,
} from './checkpoint-format.ts';
import { stateSchema } from './run-schemas.ts';
import { applySettings, defaultSettings, type Settings } from './settings.ts';
import type { TrainingState } from './training-state.ts';

/** What only a training's checkpoint says. */
export interface TrainingMetadata {
  /** SHA-256 of the CLIP weights' bytes: features of other weights would give nonsense. */
  readonly weightsId: string;
  /** The quality words, in the order of the head's input. */
  readonly words: readonly string[];
}

/** Checkpoints and models of training. */
export const trainingFormat: CheckpointFormat<Settings, TrainingState, TrainingMetadata> = {
  name: 'clip-agiqa-webgpu checkpoint 2',
  // Read as models; their runs cannot be resumed, since they do not say what they were trained on.
  earlier: ['clip-agiqa-webgpu checkpoint 1'],
  expected: {
    is: 'a checkpoint of this program',
    advice:
      'Pass the checkpoint.safetensors or model.safetensors of a training run, or a folder of the published trainer.',
  },
  state: stateSchema,
  settings: (values, path) => applySettings(defaultSettings(), values, path),
  readMore({ weights_id: weightsId, words }, path) {
    if (weightsId === undefined)
      throw new UserError(
        `${path}: does not record which weights it was trained on`,
        'The file is damaged; use another copy, or train again.',
      );
    return { weightsId, words: parseJson(words, v.array(v.string()), `${path}, metadata words`) };
  },
  writeMore: ({ weightsId, words }) => ({ weights_id: weightsId, words: JSON.stringify(words) }),
};

/** A checkpoint or model on the host: learned tensors, optimizer state, constants that spare the text tower, and how they came about. */
export interface Checkpoint extends CheckpointHeader<Settings, TrainingState>, TrainingMetadata {
  readonly parameters: ReadonlyMap<string, HostTensor>;
  /** Parameters of the best epoch, where that is to be kept and is not the last: one file, so that the two never part. */
  readonly best?: ReadonlyMap<string, HostTensor>;
  readonly optimizer: ReadonlyMap<string, HostTensor>;
  readonly constants: ReadonlyMap<string, HostTensor>;
}

/** A checkpoint or a model as a file, in pieces. */
export function trainingBytes(checkpoint: Checkpoint): AsyncGenerator<Uint8Array> {
  const { parameters, best = new Map(), optimizer, constants } = checkpoint;
  return checkpointBytes(trainingFormat, checkpoint, { parameters, best, optimizer, constants });
}

/**
 * Reads a checkpoint or a model from an open file.
 *
 * @throws UserError if it is neither, if its metadata is damaged, or if one of its numbers is not finite
 */
export async function readTrainingFile(file: TensorFile): Promise<Checkpoint> {
  return {
    ...checkpointHeader(file, trainingFormat),
    parameters: await readPart(file, 'parameters'),
    best: await readPart(file, 'best'),
    optimizer: await readPart(file, 'optimizer'),
    constants: await readPart(file, 'constants'),
  };
}
