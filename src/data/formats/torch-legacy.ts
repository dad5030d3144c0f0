import { UserError } from '../../common/errors.ts';
import { getOrThrow } from '../../common/get-or-throw.ts';
import { beyondLimit, limit } from '../../common/limits.ts';
import { PickleTruncated, readPickle } from './pickle.ts';
import { describeValue, type PickleValue } from './pickle-values.ts';
import type { RandomAccessFile } from './random-access.ts';
import { dtypeBytes } from './tensor.ts';
import { type StorageSource, type TorchStorage, torchGlobal, torchStorage } from './torch-pickle.ts';

/** What every file of the non-zip format begins with, as a pickled integer. */
const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/** How much of the file is searched for its pickles at first. */
const firstWindow = 2 ** 20;

/**
 * The format `torch.save` wrote before PyTorch 1.6: five pickles (magic number, version, system, the object, the keys of
 * its storages), then each storage as its length (64 bits) and its elements.
 */
export async function readLegacy(
  file: RandomAccessFile,
): Promise<{ root: PickleValue; source: StorageSource }> {
  const { path } = file;
  const largest = Math.min(file.size, limit('pickleFileBytes'));
  for (let window = Math.min(firstWindow, largest); ; window = Math.min(window * 4, largest)) {
    try {
      const { root, keys, storages, end } = readPickles(path, await file.read(0, window));
      return { root, source: await locateStorages(file, keys, storages, end) };
    } catch (error) {
      // The pickles' length is stated nowhere; an end too early means that the window was too small.
      if (!(error instanceof PickleTruncated)) throw error;
      if (window === file.size) throw error;
      if (window === largest)
        throw beyondLimit('pickleFileBytes', `${path}: its pickles do not end within ${largest} bytes`);
    }
  }
}

function readPickles(path: string, bytes: Uint8Array) {
  const storages = new Map<string, TorchStorage>();
  const persistent = (id: PickleValue) => {
    const storage = torchStorage(id);
    storages.set(storage.key, storage);
    return storage;
  };
  const magic = readPickle(bytes, { path });
  if (magic.value !== magicNumber) {
    throw new UserError(
      `${path}: is a pickle, but not one of PyTorch's`,
      'Pass a file written by torch.save.',
    );
  }
  const version = readPickle(bytes, { path, offset: magic.end });
  if (version.value !== protocolVersion) {
    throw new UserError(
      `${path}: has version ${describeValue(version.value)} of the old format, not ${protocolVersion}`,
    );
  }
  const system = readPickle(bytes, { path, offset: version.end });
  if (system.value instanceof Map && system.value.get('little_endian') === false) {
    throw new UserError(
      `${path}: was written on a big-endian machine`,
      'Save it again on a little-endian one.',
    );
  }
  const object = readPickle(bytes, { path, offset: system.end, global: torchGlobal, persistent });
  const keys = readPickle(bytes, { path, offset: object.end });
  return { root: object.value, keys: keys.value, storages, end: keys.end };
}

async function locateStorages(
  file: RandomAccessFile,
  keys: PickleValue,
  storages: ReadonlyMap<string, TorchStorage>,
  start: number,
): Promise<StorageSource> {
  const places = new Map<string, { offset: number; bytes: number }>();
  let offset = start;
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage?.dtype)
      throw new UserError(`${file.path}: stores ${describeValue(key)}, which nothing references`);
    if (places.has(storage.key)) throw new UserError(`${file.path}: stores ${describeValue(key)} twice`);
    const prefix = await file.read(offset, 8);
    const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
    const bytes = length * dtypeBytes[storage.dtype];
    offset += 8;
    if (offset + bytes > file.size) {
      throw new UserError(
        `${file.path}: storage ${storage.key} ends at byte ${offset + bytes}, but the file at byte ${file.size}`,
        'The file is truncated; copy or download it again.',
      );
    }
    places.set(storage.key, { offset, bytes });
    offset += bytes;
  }
  return {
    sizeOf: (key) => places.get(key)?.bytes,
    read: (key, from, length) => file.read(getOrThrow(places, key).offset + from, length),
    close: () => file.close(),
  };
}
