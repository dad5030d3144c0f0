import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { anyObject, type JsonSchema, parseJson } from '../common/json.ts';
import { requireFinite } from '../data/formats/finite.ts';
import { type TensorData, writeSafetensors } from '../data/formats/safetensors.ts';
import type { HostTensor, TensorFile } from '../data/formats/tensor.ts';
import { openTensorFile } from '../data/formats/tensor-file.ts';
import { type DataIdentity, dataIdentitySchema } from './data-identity.ts';
import type { TrainingState } from './loop.ts';
import { commandOf, goOnCommand } from './run-command.ts';
import { stateSchema } from './run-schemas.ts';
import { applySettings, defaultSettings, type Settings } from './settings.ts';

/** What a checkpoint file holds: learned tensors, optimizer state, constants that spare the text tower, and how they came about. */
export interface Checkpoint {
  /** Without `out`: a run's folder is where it lies. */
  readonly settings: Settings;
  readonly state: TrainingState;
  /** SHA-256 of the CLIP weights' bytes: features of other weights would give nonsense. */
  readonly weightsId: string;
  /** The quality words, in the order of the head's input. */
  readonly words: readonly string[];
  /** What it was trained on; absent in files of earlier versions. */
  readonly data?: DataIdentity;
  readonly parameters: ReadonlyMap<string, HostTensor>;
  /** Parameters of the best epoch, where that is to be kept and is not the last: one file, so that the two never part. */
  readonly best?: ReadonlyMap<string, HostTensor>;
  readonly optimizer: ReadonlyMap<string, HostTensor>;
  readonly constants: ReadonlyMap<string, HostTensor>;
}

const damaged = 'The file is damaged; use another copy, or train again.';
const format = 'clip-agiqa-webgpu checkpoint 2';
/** Read as models; their runs cannot be resumed, since they do not say what they were trained on. */
const earlierFormats: readonly unknown[] = ['clip-agiqa-webgpu checkpoint 1'];

/** Writes a checkpoint as safetensors: `parameters.*`, `best.*`, `optimizer.*`, `constants.*`, the rest as metadata. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { settings, state, weightsId, words, data, parameters, optimizer, constants } = checkpoint;
  const best = checkpoint.best ?? new Map();
  const metadata = {
    format,
    settings: JSON.stringify({ ...settings, out: '' }),
    state: JSON.stringify(state),
    weights_id: weightsId,
    words: JSON.stringify(words),
    ...(data ? { data: JSON.stringify(data) } : {}),
  };
  const tensors = joinParts({ parameters, best, optimizer, constants });
  await writeSafetensors(path, tensors, metadata, { checksums: true });
}

/**
 * Reads a checkpoint or a model.
 *
 * @throws UserError if it is neither, if its metadata is damaged, or if one of its numbers is not finite
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const file = await openTensorFile(path);
  try {
    const { metadata } = file;
    if (metadata.format !== format && !earlierFormats.includes(metadata.format))
      throw new UserError(
        `${path} is not a checkpoint of this program`,
        'Pass the checkpoint.safetensors or model.safetensors of a training run, or a folder of the published trainer.',
      );
    const parse = <T>(name: string, schema: JsonSchema<T>) =>
      parseJson(metadata[name], schema, `${path}, metadata ${name}`);
    if (metadata.weights_id === undefined)
      throw new UserError(`${path}: does not record which weights it was trained on`, damaged);
    return {
      settings: applySettings(defaultSettings(), parse('settings', anyObject), path),
      state: parse('state', stateSchema),
      weightsId: metadata.weights_id,
      words: parse('words', v.array(v.string())),
      ...(metadata.data === undefined ? {} : { data: parse('data', dataIdentitySchema) }),
      ...(await readParts(file, ['parameters', 'best', 'optimizer', 'constants'])),
    };
  } finally {
    await file.close();
  }
}

/** The settings in a checkpoint's metadata, and which command wrote it. */
export async function checkpointSettings(path: string): Promise<{ format: string; settings: unknown }> {
  const file = await openTensorFile(path);
  try {
    const { format: found = '', settings } = file.metadata;
    return { format: found, settings: parseJson(settings, anyObject, `${path}, metadatasettings`) };
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

/** The named parts of a file that {@link joinParts} made; a part may be empty. A number that is not finite is refused. */
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
    const part = names.find((wanted) => wanted === name.slice(0, dot));
    if (!part) continue;
    const data = requireFinite(await file.read(name), shape, `${file.path}: tensor ${name}`);
    parts[part].set(name.slice(dot + 1), { shape, data });
  }
  return parts;
}

/** Why a run's folder lacks what a finished run leaves: the training has not ended, or else `otherwise`. */
export function missingResult(folder: string, otherwise: UserError): UserError {
  return existsSync(join(folder, 'checkpoint.safetensors'))
    ? new UserError(
        `${folder}: this run has not finished`,
        `Resume it: ${goOnCommand(folder, commandOf(folder) ?? 'train')}`,
      )
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
