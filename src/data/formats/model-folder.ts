import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { shown, UserError } from '../../common/errors.ts';
import { readJson } from '../../common/json-file.ts';
import type { TensorFile, TensorInfo } from './tensor.ts';

/** Weights of a model folder, in the order they are looked for: Hugging Face's names, then open_clip's. */
const weightFiles = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'open_clip_model.safetensors',
  'open_clip_pytorch_model.bin',
];

/**
 * Opens the weights of a folder as Hugging Face lays it out: one file, or shards listed in an index.
 *
 * @param openFile opens a single file
 */
export async function openModelFolder(
  folder: string,
  openFile: (path: string) => Promise<TensorFile>,
): Promise<TensorFile> {
  const found = weightFiles.find((name) => existsSync(join(folder, name)));
  if (!found) {
    const present = readdirSync(folder).slice(0, 8).join(', ') || 'nothing';
    throw new UserError(
      `${folder}: holds no weights (found: ${present})`,
      `Expected one of ${weightFiles.join(', ')}.`,
    );
  }
  const path = join(folder, found);
  if (!found.endsWith('.index.json')) return new FolderFile(folder, [await openFile(path)]);

  const owners = await readIndex(path);
  const absent = [...new Set(owners.values())].filter((name) => !existsSync(join(folder, name)));
  if (absent.length > 0)
    throw new UserError(
      `${path}: ${absent.slice(0, 8).join(', ')} ${absent.length === 1 ? 'is' : 'are'} missing`,
      'Download every shard named in the index to the folder.',
    );
  const shards: TensorFile[] = [];
  try {
    for (const name of new Set(owners.values())) shards.push(await openFile(join(folder, name)));
    const file = new FolderFile(folder, shards);
    for (const [tensor, shard] of owners) {
      if (!file.tensors.has(tensor)) {
        throw new UserError(
          `${path}: lists ${tensor}, but ${shard} does not hold it`,
          'Download the folder again.',
        );
      }
    }
    return file;
  } catch (error) {
    for (const shard of shards) await shard.close();
    throw error;
  }
}

const indexSchema = v.object({ weight_map: v.record(v.string(), v.string()) });

/** More than any model is cut into; each is opened. */
const mostShards = 1000;

/** Shard by tensor name. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const { weight_map: map } = await readJson(path, indexSchema);
  const owners = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    // A shard lies in the folder itself: an index must not lead anywhere else.
    if (basename(shard) !== shard || /^\.*$|[\\\0]/.test(shard)) {
      throw new UserError(`${path}: names ${shown(shard)} as the file of ${tensor}`);
    }
    owners.set(tensor, shard);
  }
  const shards = new Set(owners.values()).size;
  if (shards > mostShards)
    throw new UserError(`${path}: names ${shards} shards, more than ${mostShards}`, 'The file is damaged.');
  if (shards === 0) throw new UserError(`${path}: names no tensors`, 'Download the folder again.');
  return owners;
}

class FolderFile implements TensorFile {
  readonly format = 'folder';
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #owners = new Map<string, TensorFile>();
  readonly #shards: readonly TensorFile[];

  constructor(path: string, shards: readonly TensorFile[]) {
    this.path = path;
    this.#shards = shards;
    this.metadata = Object.assign({}, ...shards.map((shard) => shard.metadata));
    const tensors = new Map<string, TensorInfo>();
    for (const shard of shards) {
      for (const [name, info] of shard.tensors) {
        if (tensors.has(name))
          throw new UserError(`${path}: two shards hold ${name}`, 'Download the folder again.');
        tensors.set(name, info);
        this.#owners.set(name, shard);
      }
    }
    this.tensors = tensors;
  }

  read(name: string): Promise<Float32Array> {
    return this.#owner(name).read(name);
  }

  readRaw(name: string): Promise<Uint8Array> {
    return this.#owner(name).readRaw(name);
  }

  #owner(name: string): TensorFile {
    const owner = this.#owners.get(name);
    if (!owner) throw new UserError(`${this.path}: holds no tensor ${name}`);
    return owner;
  }

  async close(): Promise<void> {
    for (const shard of this.#shards) await shard.close();
  }
}
