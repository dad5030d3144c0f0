import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { type TensorData, writeSafetensors } from '../data/safetensors.ts';
import type { HostTensor, TensorFile } from '../data/tensor.ts';
import { openTensorFile } from '../data/tensor-file.ts';
import type { TrainingState } from './loop.ts';
import { applySettings, defaultSettings, type Settings } from './settings.ts';

/** What a checkpoint file holds: learned tensors, optimizer state, constants that spare the text tower, and how they came about. */
export interface Checkpoint {
  readonly settings: Settings;
  readonly state: TrainingState;
  /** SHA-256 of the CLIP weights' bytes: features of other weights would give nonsense. */
  readonly weightsId: string;
  /** The quality words, in the order of the head's input. */
  readonly words: readonly string[];
  readonly parameters: ReadonlyMap<string, HostTensor>;
  readonly optimizer: ReadonlyMap<string, HostTensor>;
  readonly constants: ReadonlyMap<string, HostTensor>;
}

const format = 'clip-agiqa-webgpu checkpoint 1';

/** Writes a checkpoint as safetensors: `parameters.*`, `optimizer.*`, `constants.*`, the rest as metadata. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { settings, state, weightsId, words, parameters, optimizer, constants } = checkpoint;
  await writeSafetensors(path, joinParts({ parameters, optimizer, constants }), {
    format,
    settings: JSON.stringify(settings),
    state: JSON.stringify(state),
    weights_id: weightsId,
    words: JSON.stringify(words),
  });
}

export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const file = await openTensorFile(path);
  try {
    const { metadata } = file;
    if (metadata.format !== format)
      throw new UserError(
        `${path} is not a checkpoint of this program`,
        'Give the checkpoint.safetensors or model.safetensors of a training run, or a folder of the original trainer.',
      );
    return {
      settings: applySettings(defaultSettings(), JSON.parse(metadata.settings!), path),
      state: JSON.parse(metadata.state!),
      weightsId: metadata.weights_id!,
      words: JSON.parse(metadata.words!),
      ...(await readParts(file, ['parameters', 'optimizer', 'constants'])),
    };
  } finally {
    await file.close();
  }
}

/** Tensors by name, in parts, as a file holds them: `PART.NAME`, float32. Data given as functions are read when they are written. */
export function joinParts(
  parts: Readonly<Record<string, ReadonlyMap<string, Pick<TensorData, 'shape' | 'data'>>>>,
): Map<string, TensorData> {
  const tensors = new Map<string, TensorData>();
  for (const [part, values] of Object.entries(parts))
    for (const [name, { shape, data }] of values)
      tensors.set(`${part}.${name}`, { dtype: 'F32', shape, data });
  return tensors;
}

/** The named parts of a file that {@link joinParts} made; a part may be empty. */
export async function readParts<Part extends string>(
  file: TensorFile,
  names: readonly Part[],
): Promise<Record<Part, Map<string, HostTensor>>> {
  const parts = Object.fromEntries(names.map((name) => [name, new Map()])) as Record<
    Part,
    Map<string, HostTensor>
  >;
  for (const [name, { shape }] of file.tensors) {
    const dot = name.indexOf('.');
    parts[name.slice(0, dot) as Part]?.set(name.slice(dot + 1), { shape, data: await file.read(name) });
  }
  return parts;
}

/** Why a run's folder lacks what a finished run leaves: the training has not ended, or else `otherwise`. */
export function missingResult(folder: string, otherwise: UserError): UserError {
  return existsSync(join(folder, 'checkpoint.safetensors'))
    ? new UserError(`${folder}: this training has not ended`, 'Go on with it: node dist/train.js --resume.')
    : otherwise;
}

/** Reads tensors back from the GPU by name. */
export async function toHost(tensors: ReadonlyMap<string, Tensor>): Promise<Map<string, HostTensor>> {
  const values = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) values.set(name, { shape: tensor.shape, data: await tensor.read() });
  return values;
}

/** Writes host values over tensors of the same names and shapes. */
export function restore(
  tensors: ReadonlyMap<string, Tensor>,
  values: ReadonlyMap<string, HostTensor>,
  path: string,
): void {
  for (const [name, tensor] of tensors) {
    const value = values.get(name);
    if (value?.shape.join() !== tensor.shape.join())
      throw new UserError(
        `${path}: ${name} is ${value ? `[${value.shape.join(', ')}]` : 'missing'}, expected [${tensor.shape.join(', ')}]`,
        'The checkpoint belongs to other settings or other weights.',
      );
    tensor.write(value.data);
  }
}
