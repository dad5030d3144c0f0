import { inflateSync } from 'node:zlib';
import { shortened, UserError } from '../../common/errors.ts';
import { beyondLimit, checkLimit, limit } from '../../common/limits.ts';
import { readWhole } from '../../common/read-file.ts';
import { elementCount } from '../../common/shape.ts';

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

/** Array flags: a word of class and flags, and one that only sparse arrays use. */
const flagBytes = 8;

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
  const bytes = await readWhole(path, 'matBytes');
  const fail = (problem: string) =>
    new UserError(`${path}: ${problem}`, 'Save it from MATLAB with `save FILE VARIABLE -v7`.');
  if (bytes.length >= 8 && bytes.subarray(1, 4).toString('latin1') === 'HDF')
    throw fail('is a v7.3 (HDF5) MAT-file');
  const order = bytes.subarray(126, 128).toString('latin1');
  if (bytes.length < 128 || (order !== 'IM' && order !== 'MI')) throw fail('is not a level-5 MAT-file');
  const little = order === 'IM';
  const view = viewOf(bytes);
  if (view.getUint16(124, little) === hdf5Version) throw fail('is a v7.3 (HDF5) MAT-file');
  const reader = new MatReader(path, little, fail);
  reader.variables(view, 128, false);
  return reader.found;
}

/**
 * A variable as a list of scores: one row or column of finite numbers. Throws `UserError`.
 *
 * @param where file and variable, for messages
 */
export function scoreList({ shape, data }: MatMatrix, where: string): Float64Array {
  if (shape.filter((extent) => extent !== 1).length > 1)
    throw new UserError(
      `${where} is ${shape.join('x')}, not a list of scores`,
      'Choose a variable with a single row or column.',
    );
  if (data.length === 0)
    throw new UserError(`${where} holds no numbers`, 'Choose the variable that holds the scores.');
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new UserError(
      `${where}: number ${wrong + 1} of ${data.length} is ${data[wrong]}, not a score`,
      'Fix or remove it in MATLAB.',
    );
  return data;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

class MatReader {
  readonly found = new Map<string, MatMatrix>();
  readonly #path: string;
  readonly #little: boolean;
  readonly #fail: (problem: string) => UserError;
  #elements = 0;
  #unpacked = 0;
  #numberCount = 0;

  constructor(path: string, little: boolean, fail: (problem: string) => UserError) {
    this.#path = path;
    this.#little = little;
    this.#fail = fail;
  }

  variables(view: DataView, from: number, insideCompressed: boolean): void {
    for (let at = from; at < view.byteLength; ) {
      this.#elements++;
      checkLimit('tensors', this.#elements, (elements) => `${this.#path}: holds ${elements} elements`);
      const element = this.#element(view, at, view.byteLength);
      if (element.type === types.compressed) {
        if (insideCompressed) throw this.#fail('holds a compressed variable inside another');
        this.variables(this.#inflate(view, element), 0, true);
      } else if (element.type === types.matrix) this.#matrix(view, element);
      at = element.next;
    }
  }

  #inflate(view: DataView, { start, length }: Element): DataView {
    const packed = new Uint8Array(view.buffer, view.byteOffset + start, length);
    const left = limit('matBytes') - this.#unpacked;
    try {
      const inner = inflateSync(packed, { maxOutputLength: Math.max(1, left) });
      this.#unpacked += inner.length;
      return viewOf(inner);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_BUFFER_TOO_LARGE')
        throw beyondLimit('matBytes', `${this.#path}: its variables unpack to too many bytes`);
      throw this.#fail(`holds a damaged compressed variable (${message})`);
    }
  }

  /**
   * A tag and where its data lie: eight bytes, or four with up to four bytes of data behind (a small data element).
   *
   * @param end where what holds it ends
   */
  #element(view: DataView, at: number, end: number): Element {
    if (at + 8 > end) throw this.#fail(`ends in the middle of a tag, at byte ${at}`);
    const first = view.getUint32(at, this.#little);
    const small = first >>> 16;
    const type = small > 0 ? first & 0xffff : first;
    const length = small > 0 ? small : view.getUint32(at + 4, this.#little);
    const start = small > 0 ? at + 4 : at + 8;
    if (start + length > end || small > 4)
      throw this.#fail(`is cut short: an element of ${length} bytes at byte ${at}`);
    // Compressed elements are not padded, so what follows one lies unaligned: padding counts from the element's own start.
    const behind = start + length;
    const next =
      small > 0
        ? at + 8
        : type === types.compressed
          ? behind
          : Math.min(end, start + Math.ceil(length / 8) * 8);
    return { type, start, length, next };
  }

  #matrix(view: DataView, { start, length }: Element): void {
    // An empty variable, as a cell without content is written.
    if (length === 0) return;
    const end = start + length;
    const flags = this.#element(view, start, end);
    if (flags.type !== types.uint32 || flags.length !== flagBytes)
      throw this.#fail(`holds a variable without flags, at byte ${start}`);
    const word = view.getUint32(flags.start, this.#little);
    const kind = word & 0xff;
    const complex = (word & 0x800) !== 0;
    if (kind < firstNumericClass || kind > lastNumericClass || complex) return;
    const dimensions = this.#element(view, flags.next, end);
    const shape = this.#shape(view, dimensions);
    const nameElement = this.#element(view, dimensions.next, end);
    checkLimit(
      'nameLength',
      nameElement.length,
      (characters) => `${this.#path}: a variable's name has ${characters} characters`,
    );
    const name = Buffer.from(view.buffer, view.byteOffset + nameElement.start, nameElement.length).toString(
      'latin1',
    );
    const count = elementCount(shape);
    const data =
      nameElement.next < end
        ? this.#numbers(view, this.#element(view, nameElement.next, end))
        : new Float64Array(0);
    if (data.length !== count)
      throw this.#fail(
        `variable ${shortened(name, 100)} holds ${data.length} numbers for a size of ${shape.join(' x ')}`,
      );
    if (this.found.has(name)) throw this.#fail(`holds two variables named ${shortened(name, 100)}`);
    this.found.set(name, { shape, data });
  }

  #shape(view: DataView, element: Element): number[] {
    if (element.type !== types.int32)
      throw this.#fail('holds a variable whose size is not a list of integers');
    checkLimit('shapeRank', element.length / 4, (rank) => `${this.#path}: a variable has ${rank} dimensions`);
    const shape = Array.from(this.#numbers(view, element));
    const negative = shape.find((extent) => extent < 0);
    if (shape.length < 2 || negative !== undefined)
      throw this.#fail(`holds a variable of size ${shape.join(' x ') || 'none'}`);
    return shape;
  }

  #numbers(view: DataView, { type, start, length }: Element): Float64Array {
    const size = byteSizes[type];
    if (size === undefined) throw this.#fail(`holds numbers of an unknown type ${type}`);
    if (length % size !== 0)
      throw this.#fail(`holds numbers of ${size} bytes in ${length} bytes, at byte ${start}`);
    const count = length / size;
    this.#numberCount += count;
    checkLimit('matNumbers', this.#numberCount, (amount) => `${this.#path}: holds ${amount} numbers`);
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
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) numbers[i] = read(start + i * size);
    return numbers;
  }
}
