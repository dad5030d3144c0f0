import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { anyObject, type JsonSchema, parseJson } from '../common/json.ts';
import { requireFinite } from '../data/formats/finite.ts';
import { safetensorsBytes, type TensorData } from '../data/formats/safetensors.ts';
import type { HostTensor, TensorFile } from '../data/formats/tensor.ts';

import { checkFinite } from './finite.ts';
import { type DataIdentity, dataIdentitySchema } from './run-schemas.ts';

/** What a checkpoint says beside its tensors. */
export interface CheckpointHeader<Settings, State> {
  /** Without `out`: a run's folder is where it lies. */
  readonly settings: Settings;
  readonly state: State;
  /** What it was trained on; absent in files of earlier versions. */
  readonly data?: DataIdentity;
}

type Metadata = Readonly<Record<string, string>>;

/** How the checkpoints of one kind of run differ from those of another; `More`: what only they say. */
export interface CheckpointFormat<Settings, State, More extends object> {
  readonly name: string;
  /** Names of formats that are still read; what they do not say stays absent. */
  readonly earlier: readonly string[];
  /** What a file of another format should have been, and what to do about it. */
  readonly expected: { readonly is: string; readonly advice?: string };
  readonly state: JsonSchema<State>;
  settings(values: Readonly<Record<string, unknown>>, path: string): Settings;
  readMore(metadata: Metadata, path: string): More;
  writeMore(more: More): Metadata;
}

/** Tensors by name; data given as functions are read when they are written. */
export type Tensors = ReadonlyMap<string, Pick<TensorData, 'shape' | 'data'>>;

/** A checkpoint as safetensors, in pieces: the header as metadata, each part's tensors as `PART.NAME`, with checksums. */
export function checkpointBytes<Settings extends object, State, More extends object>(
  format: CheckpointFormat<Settings, State, More>,
  header: CheckpointHeader<Settings, State> & More,
  parts: Readonly<Record<string, Tensors>>,
): AsyncGenerator<Uint8Array> {
  const { settings, state, data } = header;
  const metadata = {
    format: format.name,
    settings: JSON.stringify({ ...settings, out: '' }),
    state: JSON.stringify(state),
    ...format.writeMore(header),
    ...(data ? { data: JSON.stringify(data) } : {}),
  };
  return safetensorsBytes(joinParts(parts), metadata, { checksums: true });
}

/**
 * Reads what a checkpoint says beside its tensors.
 *
 * @throws UserError if it is of another format, or its metadata is damaged
 */
export function checkpointHeader<Settings, State, More extends object>(
  { path, metadata }: TensorFile,
  format: CheckpointFormat<Settings, State, More>,
): CheckpointHeader<Settings, State> & More {
  const found = metadata.format;
  if (found !== format.name && !(found !== undefined && format.earlier.includes(found)))
    throw new UserError(`${path} is not ${format.expected.is}`, format.expected.advice);
  const parse = <T>(name: string, schema: JsonSchema<T>) =>
    parseJson(metadata[name], schema, `${path}, metadata ${name}`);
  return {
    ...format.readMore(metadata, path),
    settings: format.settings(parse('settings', anyObject), path),
    state: parse('state', format.state),
    ...(metadata.data === undefined ? {} : { data: parse('data', dataIdentitySchema) }),
  };
}

/** Tensors by name, in parts, as a file holds them: `PART.NAME`, float32. */
export function joinParts(parts: Readonly<Record<string, Tensors>>): Map<string, TensorData> {
  const tensors = new Map<string, TensorData>();
  for (const [part, values] of Object.entries(parts))
    for (const [name, { shape, data }] of values)
      tensors.set(`${part}.${name}`, { dtype: 'F32', shape, data });
  return tensors;
}

/** One part of a file that {@link joinParts} made, by name, each tensor read when it is asked for; it may be empty. */
function* partOf(file: TensorFile, part: string) {
  for (const [name, { shape }] of file.tensors) {
    if (!name.startsWith(`${part}.`)) continue;
    const data = async () => requireFinite(await file.read(name), shape, `${file.path}: tensor ${name}`);
    yield [name.slice(part.length + 1), { shape, data }] as const;
  }
}

/** One part of a file, all of it on the host. A number that is not finite is refused. */
export async function readPart(file: TensorFile, part: string): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, { shape, data }] of partOf(file, part)) tensors.set(name, { shape, data: await data() });
  return tensors;
}

/** The parts of a file, to be copied to another tensor by tensor. */
export const copiedParts = (file: TensorFile, parts: readonly string[]): Record<string, Tensors> =>
  Object.fromEntries(parts.map((part) => [part, new Map(partOf(file, part))]));

/** Reads every tensor of a checkpoint once, so that a damaged one is refused before anything is built on it. */
export async function verifyParts(file: TensorFile, parts: readonly string[]): Promise<void> {
  for (const part of parts) for (const [, { data }] of partOf(file, part)) await data();
}

/**
 * Tensors to be read back from the GPU one at a time as they are written: an optimizer's moments are twice the size of the
 * model. A number that is not finite ends the writing; the loss alone would not tell, since it is that of the step before,
 * and a ReLU may make 0 of a NaN.
 *
 * @param whose in front of a tensor's name in the message
 */
export function readBack(tensors: ReadonlyMap<string, Tensor>, whose: string, when: string): Tensors {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const data = async () => {
        const values = await tensor.read();
        checkFinite(values, whose + name, when);
        return values;
      };
      return [name, { shape: tensor.shape, data }];
    }),
  );
}

/** Reads tensors back from the GPU by name. */
export async function toHost(tensors: ReadonlyMap<string, Tensor>): Promise<Map<string, HostTensor>> {
  const values = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) values.set(name, { shape: tensor.shape, data: await tensor.read() });
  return values;
}

/** Writes the part of a file over tensors of the same names and shapes. */
export async function restorePart(
  file: TensorFile,
  part: string,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const values = new Map(partOf(file, part));
  for (const [name, tensor] of tensors) {
    const value = values.get(name);
    if (value?.shape.join() !== tensor.shape.join())
      throw new UserError(
        `${file.path}: ${name} is ${value ? `[${value.shape.join(', ')}]` : 'missing'}, expected [${tensor.shape.join(', ')}]`,
        'The checkpoint belongs to other settings or other weights.',
      );
    tensor.write(await value.data());
  }
}
