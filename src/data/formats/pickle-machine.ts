import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { costs, PickleBudget } from './pickle-budget.ts';
import {
  callGlobal,
  containerGlobal,
  type PickleGlobal,
  PickleObject,
  type PickleValue,
} from './pickle-values.ts';

export interface PickleOptions {
  /** For messages: the file, or the entry of an archive. */
  readonly path: string;
  /** Where in the bytes the pickle begins; 0 by default. */
  readonly offset?: number;
  /** What a name beyond Python's containers stands for; undefined refuses the file. */
  readonly global?: (module: string, name: string) => PickleGlobal | undefined;
  /** What a persistent id stands for; without it such ids refuse the file. */
  readonly persistent?: (id: PickleValue) => PickleValue;
}

/** The bytes end before the pickle does. */
export class PickleTruncated extends UserError {}

const mark = Symbol('mark');

/** The stack, the memo and the bytes of a pickle being read; `pickle.ts` says what each opcode does with them. */
export class PickleMachine {
  position: number;
  readonly budget: PickleBudget;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: PickleOptions;
  readonly #stack: (PickleValue | typeof mark)[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #globals = new Map<string, PickleGlobal>();

  constructor(bytes: Uint8Array, options: PickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
    this.budget = new PickleBudget(options.path);
    this.position = options.offset ?? 0;
  }

  malformed(problem: string): UserError {
    return new UserError(
      `${this.#options.path}: not a valid pickle at byte ${this.position}: ${problem}`,
      'The file is damaged or not a PyTorch file; copy or download it again.',
    );
  }

  // Bytes.

  skip(length: number): number {
    const start = this.position;
    if (start + length > this.#bytes.length) {
      throw new PickleTruncated(
        `${this.#options.path}: its pickle is cut off at byte ${this.#bytes.length}`,
        'The file is truncated; copy or download it again.',
      );
    }
    this.position = start + length;
    return start;
  }

  uint8 = (): number => this.#view.getUint8(this.skip(1));
  uint16 = (): number => this.#view.getUint16(this.skip(2), true);
  int32 = (): number => this.#view.getInt32(this.skip(4), true);
  uint32 = (): number => this.#view.getUint32(this.skip(4), true);
  uint64 = (): number => Number(this.#view.getBigUint64(this.skip(8), true));
  float64 = (): number => this.#view.getFloat64(this.skip(8), false);

  slice(length: number): Uint8Array {
    const start = this.skip(length);
    this.budget.take(costs.bytes + length);
    return this.#bytes.slice(start, start + length);
  }

  text(length: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const start = this.skip(length);
    this.budget.take(costs.text + 2 * length);
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + start, length).toString(encoding);
  }

  line(encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    const line = this.text((end < 0 ? this.#bytes.length : end) - this.position, encoding);
    this.skip(1);
    return line;
  }

  /** A little-endian integer in two's complement. */
  long(length: number): number | bigint {
    this.checkDigits(length, 'bytes');
    const bytes = this.slice(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return narrow(BigInt.asIntN(8 * length, value));
  }

  /** A decimal integer, as protocol 0 writes it. */
  decimal(text: string): number | bigint {
    this.checkDigits(text.length, 'digits');
    if (!/^[+-]?\d+L?$/.test(text)) throw this.malformed('an integer is malformed');
    return narrow(BigInt(text.replace(/L$/, '')));
  }

  checkDigits(length: number, unit: 'bytes' | 'digits'): void {
    checkLimit(
      'pickleDigits',
      length,
      (digits) => `${this.#options.path}: its pickle has an integer of ${digits} ${unit}`,
    );
  }

  // Stack.

  push(value: PickleValue): void {
    this.budget.take(costs.listItem);
    this.#stack.push(value);
  }

  pushMark(): void {
    this.budget.take(costs.listItem);
    this.#stack.push(mark);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === mark) throw this.malformed('the stack is empty');
    return value as PickleValue;
  }

  /** Like `pop`, and leaves the value there. */
  top(): PickleValue {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  popMark(): PickleValue[] {
    const start = this.#stack.lastIndexOf(mark);
    if (start < 0) throw this.malformed('a mark is missing');
    this.budget.container('list', this.#stack.length - start);
    return this.#stack.splice(start).slice(1) as PickleValue[];
  }

  discard(): void {
    if (this.#stack.pop() === undefined) throw this.malformed('the stack is empty');
  }

  // Memo, names, objects.

  put(key: number): void {
    this.budget.take(costs.hashItem);
    this.#memo.set(this.#memoKey(key), this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  get(key: number): void {
    const value = this.#memo.get(this.#memoKey(key));
    if (value === undefined) throw this.malformed(`memo ${key} is not set`);
    this.push(value);
  }

  #memoKey(key: number): number {
    if (Number.isSafeInteger(key) && key >= 0) return key;
    throw this.malformed('a memo has no number');
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.malformed('a class name is not a string');
    const full = `${module}\n${name}`;
    let found = this.#globals.get(full);
    if (!found) {
      found = containerGlobal(module, name) ?? this.#options.global?.(module, name);
      if (!found) {
        throw new UserError(
          `${this.#options.path}: refers to ${module}.${name}, which is not supported`,
          'Only tensors, containers and optimizer states are read, and nothing is executed. Save a plain state dict instead.',
        );
      }
      this.budget.take(costs.object + costs.hashItem + 2 * full.length);
      this.#globals.set(full, found);
    }
    this.push(found);
  }

  /** `type(*args)` onto the stack. */
  call(type: PickleValue, args: PickleValue): void {
    if (!Array.isArray(args)) throw this.malformed('a class is called without a tuple');
    this.budget.take(costs.object);
    this.push(callGlobal(type, args, this.budget));
  }

  persistent(id: PickleValue): void {
    if (!this.#options.persistent) throw this.malformed('it refers to data outside the file');
    this.budget.take(costs.object);
    this.push(this.#options.persistent(id));
  }

  append(items: PickleValue[]): void {
    const target = this.top();
    this.budget.container(target instanceof Set ? 'hash' : 'list', items.length);
    if (target instanceof Set) for (const item of items) target.add(item);
    else if (Array.isArray(target)) for (const item of items) target.push(item);
    else throw this.malformed('items are added to something that is not a list');
  }

  setItems(items: PickleValue[]): void {
    const target = this.top();
    if (!(target instanceof Map) || items.length % 2)
      throw this.malformed('items are set on something that is not a dict');
    this.budget.container('hash', items.length / 2);
    for (let i = 0; i < items.length; i += 2) target.set(items[i]!, items[i + 1]!);
  }

  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof PickleObject) target.state = state;
    // A state dict carries version notes (`_metadata`) as attributes; a dict's attributes are of no use here.
    else if (!(target instanceof Map))
      throw this.malformed('a state is set on something that cannot have one');
  }
}

/** As a number where that is exact. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
