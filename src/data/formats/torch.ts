import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { elementCount } from '../../common/shape.ts';
import { readPickle } from './pickle.ts';
import type { PickleValue } from './pickle-values.ts';
import { RandomAccessFile } from './random-access.ts';
import { checkTensorBytes, dtypeBytes, type TensorFile, type TensorInfo, toFloat32 } from './tensor.ts';
import { readLegacy } from './torch-legacy.ts';
import {
  type StorageSource,
  stateDictTensors,
  type TorchTensor,
  torchGlobal,
  torchStorage,
} from './torch-pickle.ts';
import { ZipArchive } from './zip-archive.ts';

/**
 * Opens a PyTorch file: `torch.save`'s zip format and the non-zip one before it, or a TorchScript archive. Its tensors
 * are those of the state dict in it, also when that is nested in a checkpoint. Nothing in the file is executed.
 */
export async function openTorchFile(path: string): Promise<TensorFile> {
  const file = await RandomAccessFile.open(path);
  const isZip = file.size > 2 && Buffer.from(await file.read(0, 2)).toString('latin1') === 'PK';
  if (!isZip) {
    try {
      const { root, source } = await readLegacy(file);
      return new TorchFile(path, 'torch legacy', root, source);
    } catch (error) {
      await file.close();
      throw error;
    }
  }
  await file.close();
  const archive = await ZipArchive.open(path);
  try {
    return await openArchive(archive);
  } catch (error) {
    await archive.close();
    throw error;
  }
}

async function openArchive(archive: ZipArchive): Promise<TorchFile> {
  const { path, names } = archive;
  const pickleName = names.find((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (!pickleName) {
    throw new UserError(
      `${path}: is a zip archive without a data.pkl`,
      'Pass a file written by torch.save or torch.jit.',
    );
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  // The entry says "little" or "big".
  if (archive.sizeOf(`${folder}byteorder`) === 'big'.length) {
    throw new UserError(
      `${path}: was written on a big-endian machine`,
      'Save it again on a little-endian one.',
    );
  }
  const size = archive.sizeOf(pickleName)!;
  checkLimit('pickleFileBytes', size, (bytes) => `${path}: its data.pkl has ${bytes} bytes`);
  const bytes = await archive.read(pickleName, 0, size);
  const { value } = readPickle(bytes, { path, global: torchGlobal, persistent: torchStorage });
  const entry = (key: string) => `${folder}data/${key}`;
  return new TorchFile(path, names.includes(`${folder}constants.pkl`) ? 'torchscript' : 'torch zip', value, {
    sizeOf: (key) => archive.sizeOf(entry(key)),
    read: (key, offset, length) => archive.read(entry(key), offset, length),
    close: () => archive.close(),
  });
}

class TorchFile implements TensorFile {
  readonly path: string;
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #views: ReadonlyMap<string, TorchTensor>;
  readonly #source: StorageSource;

  constructor(path: string, format: string, root: PickleValue, source: StorageSource) {
    this.path = path;
    this.format = format;
    this.metadata = scalars(root);
    checkLimit('metadata', Object.keys(this.metadata).length, (count) => `${path}: holds ${count} scalars`);
    this.#source = source;
    this.#views = stateDictTensors(root, path);
    for (const [name, view] of this.#views) checkView(path, name, view, source);
    checkRepetition(path, this.#views, source);
    this.tensors = new Map(
      [...this.#views].map(([name, { dtype, shape }]) => [name, { name, dtype, shape }] as const),
    );
  }

  async readRaw(name: string): Promise<Uint8Array> {
    const view = this.#view(name);
    const size = dtypeBytes[view.dtype];
    const { first, end } = extent(view);
    const bytes = await this.#source.read(view.storage.key, first * size, (end - first) * size);
    return isContiguous(view) ? bytes : gather(bytes, size, view);
  }

  async read(name: string): Promise<Float32Array> {
    return toFloat32(this.#view(name).dtype, await this.readRaw(name));
  }

  #view(name: string): TorchTensor {
    const view = this.#views.get(name);
    if (!view) throw new UserError(`${this.path}: holds no tensor ${name}`);
    return view;
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

/** A checkpoint's own numbers and strings, such as `epoch`. */
function scalars(root: PickleValue): Record<string, string> {
  if (!(root instanceof Map)) return {};
  const entries = [...root].filter(
    ([key, value]) => typeof key === 'string' && (typeof value === 'number' || typeof value === 'string'),
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}

/** The elements of its storage that a tensor spans: from `first` up to, without, `end`. */
function extent({ offset, shape, strides }: TorchTensor): { first: number; end: number } {
  if (shape.includes(0)) return { first: 0, end: 0 };
  return { first: offset, end: shape.reduce((end, size, d) => end + (size - 1) * strides[d]!, offset + 1) };
}

function isContiguous({ shape, strides }: TorchTensor): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== expected) return false;
    expected *= shape[d]!;
  }
  return true;
}

function checkView(path: string, name: string, view: TorchTensor, source: StorageSource): void {
  const fail = (problem: string) =>
    new UserError(`${path}: tensor ${name} ${problem}`, 'The file is damaged; copy or download it again.');
  const stored = source.sizeOf(view.storage.key);
  if (stored === undefined) throw fail(`is in storage ${view.storage.key}, which the file does not contain`);
  const size = dtypeBytes[view.dtype];
  const { first, end } = extent(view);
  if (!(end * size <= stored))
    throw fail(`needs ${end * size} bytes of storage ${view.storage.key}, which has ${stored}`);
  checkTensorBytes(path, { name, dtype: view.dtype, shape: view.shape });
  // What lies between its elements is read with them.
  checkLimit(
    'tensorBytes',
    (end - first) * size,
    (bytes) => `${path}: tensor ${name} spans ${bytes} bytes of its storage`,
  );
}

/** Views may share and repeat elements, so that a small file holds any amount of tensors: beyond reason, they are refused. */
function checkRepetition(path: string, views: ReadonlyMap<string, TorchTensor>, source: StorageSource): void {
  const keys = new Set([...views.values()].map(({ storage }) => storage.key));
  let stored = 0;
  for (const key of keys) stored += source.sizeOf(key)!;
  let taken = 0;
  for (const { shape, dtype } of views.values()) taken += elementCount(shape) * dtypeBytes[dtype];
  checkLimit(
    'expandedBytes',
    taken - 4 * stored,
    () =>
      `${path}: its tensors take ${taken.toLocaleString('en')} bytes, although it stores ${stored.toLocaleString('en')}`,
  );
}

/** Copies the elements of a strided view in row-major order; `bytes` begins at its first element. */
function gather(bytes: Uint8Array, size: number, { shape, strides }: TorchTensor): Uint8Array {
  const result = new Uint8Array(elementCount(shape) * size);
  const inner = shape.length - 1;
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let at = 0; at < result.length; ) {
    for (let i = 0, from = source * size; i < shape[inner]!; i++, from += strides[inner]! * size) {
      for (let byte = 0; byte < size; byte++) result[at++] = bytes[from + byte]!;
    }
    for (let d = inner - 1; d >= 0; d--) {
      source += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      source -= shape[d]! * strides[d]!;
      index[d] = 0;
    }
  }
  return result;
}
