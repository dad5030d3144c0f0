import { readFile } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import { UserError } from '../common/errors.ts';

/** A numeric matrix; `data` in column-major order, as MATLAB stores it. */
export interface MatMatrix {
  readonly shape: number[];
  readonly data: Float64Array;
}

/** Data types of a level-5 MAT-file (MathWorks, "MAT-File Format", table 1-1). */
const types = {
  int8: 1,
  uint8: 2,
  int16: 3,
  uint16: 4,
  int32: 5,
  uint32: 6,
  single: 7,
  double: 9,
  int64: 12,
  uint64: 13,
  matrix: 14,
  compressed: 15,
};
const byteSizes: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 2,
  5: 4,
  6: 4,
  7: 4,
  9: 8,
  12: 8,
  13: 8,
};

/** MATLAB puts a level-5 header of this version before the HDF5 file proper. */
const hdf5Version = 0x0200;

/** Array classes of numbers: double, single and the integers. */
const firstNumericClass = 6;
const lastNumericClass = 15;

interface Element {
  readonly type: number;
  /** Its bytes, without the tag. */
  readonly start: number;
  readonly length: number;
  /** Where the next element begins. */
  readonly next: number;
}

/**
 * The real numeric matrices of a MATLAB level-5 file (`save` without -v7.3), by variable name; other variables are left
 * out. Both byte orders, compressed elements and small data elements are read. Throws `UserError` for other files.
 */
export async function readMat(path: string): Promise<Map<string, MatMatrix>> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new UserError(
      `${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`,
      'Check the path.',
    );
  }
  const fail = (problem: string) =>
    new UserError(`${path}: ${problem}`, 'Save it from MATLAB with `save FILE VARIABLE -v7`.');
  if (bytes.length >= 8 && bytes.subarray(1, 4).toString('latin1') === 'HDF')
    throw fail('is a v7.3 (HDF5) MAT-file');
  const order = bytes.subarray(126, 128).toString('latin1');
  if (bytes.length < 128 || (order !== 'IM' && order !== 'MI')) throw fail('is not a level-5 MAT-file');
  const little = order === 'IM';
  const view = viewOf(bytes);
  if (view.getUint16(124, little) === hdf5Version) throw fail('is a v7.3 (HDF5) MAT-file');
  const found = new Map<string, MatMatrix>();
  new MatReader(little, fail).variables(view, 128, found);
  return found;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

class MatReader {
  readonly #little: boolean;
  readonly #fail: (problem: string) => UserError;

  constructor(little: boolean, fail: (problem: string) => UserError) {
    this.#little = little;
    this.#fail = fail;
  }

  variables(view: DataView, from: number, found: Map<string, MatMatrix>): void {
    for (let at = from; at < view.byteLength; ) {
      const element = this.#element(view, at);
      if (element.type === types.compressed) {
        const packed = new Uint8Array(view.buffer, view.byteOffset + element.start, element.length);
        let inner: Buffer;
        try {
          inner = inflateSync(packed);
        } catch (error) {
          throw this.#fail(`holds a damaged compressed variable (${(error as Error).message})`);
        }
        this.variables(viewOf(inner), 0, found);
      } else if (element.type === types.matrix) this.#matrix(view, element, found);
      at = element.next;
    }
  }

  /** A tag and where its data lie: eight bytes, or four with up to four bytes of data behind (a small data element). */
  #element(view: DataView, at: number): Element {
    if (at + 8 > view.byteLength) throw this.#fail(`ends in the middle of a tag, at byte ${at}`);
    const first = view.getUint32(at, this.#little);
    const small = first >>> 16;
    const type = small > 0 ? first & 0xffff : first;
    const length = small > 0 ? small : view.getUint32(at + 4, this.#little);
    const start = small > 0 ? at + 4 : at + 8;
    if (start + length > view.byteLength || small > 4)
      throw this.#fail(`is cut short: an element of ${length} bytes at byte ${at}`);
    // Compressed elements are not padded, so what follows one lies unaligned: padding counts from the element's own start.
    const end = start + length;
    const next =
      small > 0
        ? at + 8
        : type === types.compressed
          ? end
          : Math.min(view.byteLength, start + Math.ceil(length / 8) * 8);
    return { type, start, length, next };
  }

  #matrix(view: DataView, { start, length }: Element, found: Map<string, MatMatrix>): void {
    const end = start + length;
    const flags = this.#element(view, start);
    const word = view.getUint32(flags.start, this.#little);
    const dimensions = this.#element(view, flags.next);
    const shape = Array.from(this.#numbers(view, dimensions));
    const nameElement = this.#element(view, dimensions.next);
    const name = Buffer.from(view.buffer, view.byteOffset + nameElement.start, nameElement.length).toString(
      'latin1',
    );
    const kind = word & 0xff;
    const complex = (word & 0x800) !== 0;
    if (kind < firstNumericClass || kind > lastNumericClass || complex) return;
    const count = shape.reduce((a, b) => a * b, 1);
    const data =
      nameElement.next < end
        ? this.#numbers(view, this.#element(view, nameElement.next))
        : new Float64Array(0);
    if (data.length !== count)
      throw this.#fail(`variable ${name} holds ${data.length} numbers for a size of ${shape.join(' x ')}`);
    found.set(name, { shape, data });
  }

  #numbers(view: DataView, { type, start, length }: Element): Float64Array {
    const size = byteSizes[type];
    if (size === undefined) throw this.#fail(`holds numbers of an unknown type ${type}`);
    const little = this.#little;
    const read: (at: number) => number = {
      [types.int8]: (at: number) => view.getInt8(at),
      [types.uint8]: (at: number) => view.getUint8(at),
      [types.int16]: (at: number) => view.getInt16(at, little),
      [types.uint16]: (at: number) => view.getUint16(at, little),
      [types.int32]: (at: number) => view.getInt32(at, little),
      [types.uint32]: (at: number) => view.getUint32(at, little),
      [types.single]: (at: number) => view.getFloat32(at, little),
      [types.double]: (at: number) => view.getFloat64(at, little),
      [types.int64]: (at: number) => Number(view.getBigInt64(at, little)),
      [types.uint64]: (at: number) => Number(view.getBigUint64(at, little)),
    }[type]!;
    return Float64Array.from({ length: length / size }, (_, i) => read(start + i * size));
  }
}
