import { crc32 } from '../../common/crc32.ts';
import { shown, UserError } from '../../common/errors.ts';
import { getOrThrow } from '../../common/get-or-throw.ts';
import { parseJsonText } from '../../common/json.ts';
import { checkLimit, limit } from '../../common/limits.ts';
import { elementCount } from '../../common/shape.ts';
import type { ByteSource } from './byte-source.ts';
import {
  checkTensorBytes,
  type DType,
  dtypeBytes,
  type TensorFile,
  type TensorInfo,
  toFloat32,
} from './tensor.ts';

/** Of the tensor and the metadata for checksums. */
const checksumsName = '__checksums__';
const checksumsKind = 'crc-32';
const changed = 'The file has changed since it was written (a disk or copy error). Use another copy.';
const damaged = 'The file is damaged or not safetensors; copy or download it again.';

interface Placement extends TensorInfo {
  /** Byte offset in the file. */
  readonly offset: number;
  readonly bytes: number;
}

interface Header {
  readonly tensors: Map<string, Placement>;
  readonly metadata: Record<string, string>;
  /** The header's own bytes, with its length in front. */
  readonly bytes: Uint8Array;
}

/**
 * Reads a safetensors file (https://huggingface.co/docs/safetensors), which closes its source with itself. The header is checked in full: known types,
 * sane shapes, every tensor exactly as long as its shape says, and the data covered without gap or overlap.
 */
export async function readSafetensors(source: ByteSource): Promise<TensorFile> {
  try {
    const header = await readHeader(source);
    return new SafetensorsFile(source, header, await readChecksums(source, header));
  } catch (error) {
    await source.close();
    throw error;
  }
}

class SafetensorsFile implements TensorFile {
  readonly format = 'safetensors';
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, Placement>;
  readonly #file: ByteSource;
  readonly #checksums: ReadonlyMap<string, number> | null;

  constructor(
    file: ByteSource,
    { tensors, metadata }: Header,
    checksums: ReadonlyMap<string, number> | null,
  ) {
    this.#file = file;
    this.path = file.path;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#checksums = checksums;
  }

  async readRaw(name: string): Promise<Uint8Array> {
    const place = this.#place(name);
    checkTensorBytes(this.path, place);
    const { offset, bytes } = place;
    const data = await this.#file.read(offset, bytes);
    if (this.#checksums && crc32(data) !== this.#checksums.get(name))
      throw new UserError(`${this.path}: tensor ${name} does not match its checksum`, changed);
    return data;
  }

  async read(name: string): Promise<Float32Array> {
    return toFloat32(this.#place(name).dtype, await this.readRaw(name));
  }

  #place(name: string): Placement {
    const place = this.tensors.get(name);
    if (!place) throw new UserError(`${this.path}: holds no tensor ${name}`);
    return place;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readHeader(file: ByteSource): Promise<Header> {
  const { path } = file;
  if (file.size < 8) throw new UserError(`${path}: is only ${file.size} bytes long`, damaged);
  const prefix = await file.read(0, 8);
  const length = Number(viewOf(prefix).getBigUint64(0, true));
  if (8 + length > file.size) {
    throw new UserError(`${path}: claims a header of ${length} bytes in a file of ${file.size}`, damaged);
  }
  checkLimit('headerBytes', length, (bytes) => `${path}: its header has ${bytes} bytes`);
  const bytes = await file.read(0, 8 + length);
  const header = parseJsonText(headerText(path, bytes.subarray(8)), `${path}: its header`);
  if (!isRecord(header)) throw new UserError(`${path}: its header is not a JSON object`, damaged);

  const dataStart = 8 + length;
  const tensors = new Map<string, Placement>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(path, entry);
    else tensors.set(name, checkEntry(path, name, entry, dataStart));
  }
  checkLimit('tensors', tensors.size, (count) => `${path}: holds ${count} tensors`);
  checkCoverage(file, tensors, dataStart);
  return { tensors, metadata, bytes };
}

/**
 * The CRC-32 of each tensor, where the file says that it has them (see {@link SafetensorsOptions}); the tensor that holds
 * them, and the metadata that says so, are taken out of the header. Throws `UserError` if the header has changed.
 */
async function readChecksums(file: ByteSource, header: Header): Promise<Map<string, number> | null> {
  const { tensors, metadata, bytes } = header;
  const place = tensors.get(checksumsName);
  if (!place && !Object.hasOwn(metadata, checksumsName)) return null;
  const names = [...tensors.keys()].filter((name) => name !== checksumsName).sort();
  const said = metadata[checksumsName] === checksumsKind;
  if (!said || place?.dtype !== 'U8' || place.bytes !== 4 * (1 + names.length))
    throw new UserError(`${file.path}: its checksums are missing`, changed);
  const values = viewOf(await file.read(place.offset, place.bytes));
  if (crc32(bytes) !== values.getUint32(0, true))
    throw new UserError(`${file.path}: its header does not match its checksum`, changed);
  tensors.delete(checksumsName);
  delete metadata[checksumsName];
  return new Map(names.map((name, i) => [name, values.getUint32(4 + 4 * i, true)]));
}

const viewOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): DataView =>
  new DataView(buffer, byteOffset, byteLength);

function headerText(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${path}: its header is not UTF-8 text`, damaged);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkMetadata(path: string, entry: unknown): Record<string, string> {
  if (isRecord(entry) && Object.values(entry).every((value) => typeof value === 'string')) {
    checkLimit(
      'metadata',
      Object.keys(entry).length,
      (count) => `${path}: __metadata__ has ${count} entries`,
    );
    return entry as Record<string, string>;
  }
  throw new UserError(`${path}: __metadata__ is not an object of strings`, damaged);
}

function checkEntry(path: string, name: string, entry: unknown, dataStart: number): Placement {
  const fail = (problem: string) => new UserError(`${path}: tensor ${name} ${problem}`, damaged);
  if (!isRecord(entry)) throw fail('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeBytes, dtype)) {
    throw new UserError(
      `${path}: tensor ${name} has unknown type ${shown(dtype)}`,
      `Known types: ${Object.keys(dtypeBytes).join(', ')}.`,
    );
  }
  checkLimit('nameLength', name.length, (length) => `${path}: a tensor's name has ${length} characters`);
  if (!isSizes(shape)) throw fail(`has shape ${shown(shape)}`);
  if (shape.length > limit('shapeRank'))
    throw fail(`has ${shape.length} dimensions, more than ${limit('shapeRank')}`);
  if (!isRange(offsets)) throw fail(`has data offsets ${shown(offsets)}`);
  const [begin, end] = offsets;
  const bytes = elementCount(shape) * dtypeBytes[dtype as DType];
  if (!Number.isSafeInteger(bytes) || bytes !== end - begin) {
    throw fail(
      `of shape ${shown(shape)} and type ${dtype} takes ${bytes} bytes, but its offsets span ${end - begin}`,
    );
  }
  return { name, dtype: dtype as DType, shape, offset: dataStart + begin, bytes };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isRange(value: unknown): value is [begin: number, end: number] {
  return isSizes(value) && value.length === 2 && value[0]! <= value[1]!;
}

function checkCoverage(file: ByteSource, tensors: Map<string, Placement>, dataStart: number): void {
  const inOrder = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  for (const { name, offset, bytes } of inOrder) {
    if (offset < end) throw new UserError(`${file.path}: tensor ${name} overlaps the one before it`, damaged);
    if (offset > end) {
      throw new UserError(`${file.path}: ${offset - end} unused bytes before tensor ${name}`, damaged);
    }
    end = offset + bytes;
    if (end > file.size) {
      throw new UserError(
        `${file.path}: tensor ${name} ends at byte ${end}, but the file at byte ${file.size}`,
        'The file is truncated; copy or download it again.',
      );
    }
  }
  if (end < file.size) {
    throw new UserError(`${file.path}: ${file.size - end} bytes after its last tensor`, damaged);
  }
}

/** A tensor to write: its elements (any typed array of the type's layout), or a function that makes them when needed. */
export interface TensorData {
  /** How its elements are stored. */
  readonly dtype: DType;
  /** Sizes, outermost first; empty for a single number. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/** How a safetensors file is written. */
export interface SafetensorsOptions {
  /**
   * Adds a tensor of checksums, with which every reading of the file here is compared: the format has none, and a flipped bit
   * would train or score on unseen. For this program's own files; other readers would find a tensor that they do not know.
   */
  readonly checksums?: boolean;
}

/**
 * A safetensors file in pieces. Tensors stand by element size (largest first, which keeps each aligned) and then by name, so that the
 * same tensors give the same bytes. Data given as functions are held one at a time.
 */
export async function* safetensorsBytes(
  tensors: ReadonlyMap<string, TensorData> | Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {},
  { checksums = false }: SafetensorsOptions = {},
): AsyncGenerator<Uint8Array> {
  const entries: [string, TensorData][] =
    tensors instanceof Map ? [...tensors] : Object.entries(tensors as Readonly<Record<string, TensorData>>);
  entries.sort(
    ([a, { dtype: s }], [b, { dtype: t }]) => dtypeBytes[t] - dtypeBytes[s] || (a < b ? -1 : a > b ? 1 : 0),
  );

  // Filled while the others are written, of which it is behind. CRC-32, little-endian: the header's, then by name.
  const sums = viewOf(new Uint8Array(checksums ? 4 * (1 + entries.length) : 0));
  const names = entries.map(([name]) => name).sort();
  const places = new Map(names.map((name, i) => [name, 4 + 4 * i]));
  if (checksums) entries.push([checksumsName, { dtype: 'U8', shape: [sums.byteLength], data: sums }]);

  const header: [string, unknown][] = [];
  const texts = Object.entries(checksums ? { ...metadata, [checksumsName]: checksumsKind } : metadata).sort(
    ([a], [b]) => (a < b ? -1 : 1),
  );
  if (texts.length > 0) header.push(['__metadata__', Object.fromEntries(texts)]);
  let offset = 0;
  for (const [name, { dtype, shape }] of entries) {
    const end = offset + elementCount(shape) * dtypeBytes[dtype];
    header.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Joined by hand: a JavaScript object would move integer-like names to the front.
  const json = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const padded = new Uint8Array(text.length + (-text.length & 7)).fill(0x20);
  padded.set(text);
  const prefix = new Uint8Array(8);
  viewOf(prefix).setBigUint64(0, BigInt(padded.length), true);

  yield prefix;
  yield padded;
  if (checksums) sums.setUint32(0, crc32(padded, crc32(prefix)), true);
  for (const [name, { dtype, shape, data }] of entries) {
    const view = typeof data === 'function' ? await data() : data;
    const expected = elementCount(shape) * dtypeBytes[dtype];
    if (view.byteLength !== expected) {
      throw new Error(
        `tensor ${name} of shape [${shape}] and type ${dtype} needs ${expected} bytes, got ${view.byteLength}`,
      );
    }
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (checksums && view !== sums) sums.setUint32(getOrThrow(places, name), crc32(bytes), true);
    yield bytes;
  }
}
