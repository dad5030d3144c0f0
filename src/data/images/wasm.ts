/**
 * As much of WebAssembly's binary format (https://webassembly.github.io/spec/core/binary/) as a few vector loops need: instructions are
 * lists of bytes in the order of a stack machine, and `assemble` makes a module of functions over one memory that is imported.
 */

/** Instructions, as bytes. */
export type Code = readonly number[];

const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  do {
    const low = value & 0x7f;
    value >>>= 7;
    bytes.push(value === 0 ? low : low | 0x80);
  } while (value !== 0);
  return bytes;
};

const signed = (value: number): number[] => {
  for (const bytes: number[] = []; ; ) {
    const low = value & 0x7f;
    value >>= 7;
    const last = (value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0);
    bytes.push(last ? low : low | 0x80);
    if (last) return bytes;
  }
};

const types = { i32: 0x7f, v128: 0x7b } as const;
export type Type = keyof typeof types;

const simd = (opcode: number, ...immediates: number[]): Code => [0xfd, ...unsigned(opcode), ...immediates];

/** Instructions by WebAssembly's own names. Memory operands take any alignment. */
export const op = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: [0x6a] as Code,
  mul: [0x6c] as Code,
  lessThan: [0x48] as Code,
  load: (offset = 0): Code => [0x28, 0, ...unsigned(offset)],
  /** Repeats its body while the number that it leaves is not 0. */
  loop: (...body: readonly Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b],
  v128: {
    load: (offset = 0): Code => simd(0x00, 0, ...unsigned(offset)),
    load32Splat: (offset = 0): Code => simd(0x09, 0, ...unsigned(offset)),
    load64Zero: (offset = 0): Code => simd(0x5d, 0, ...unsigned(offset)),
    store: (offset = 0): Code => simd(0x0b, 0, ...unsigned(offset)),
    store32Lane: (lane: number): Code => simd(0x5a, 0, 0, lane),
    const: (bytes: readonly number[]): Code => simd(0x0c, ...bytes),
  },
  i8x16: {
    shuffle: (lanes: readonly number[]): Code => simd(0x0d, ...lanes),
    swizzle: simd(0x0e),
    narrowU: simd(0x66),
  },
  i16x8: { narrowS: simd(0x85), extendLowU: simd(0x89), extendHighU: simd(0x8a) },
  i32x4: { splat: simd(0x11), add: simd(0xae), shl: simd(0xab), shrS: simd(0xac), dot: simd(0xba) },
};

/** A function without results: parameters of i32 and locals by name. */
export class FunctionBuilder {
  readonly name: string;
  readonly params: readonly string[];
  readonly #locals = new Map<string, { readonly index: number; readonly type: Type }>();
  body: Code = [];

  constructor(name: string, params: readonly string[], locals: Readonly<Record<string, Type>>) {
    this.name = name;
    this.params = params;
    for (const param of params) this.#add(param, 'i32');
    for (const [local, type] of Object.entries(locals)) this.#add(local, type);
  }

  #add(name: string, type: Type): void {
    this.#locals.set(name, { index: this.#locals.size, type });
  }

  #index(name: string): number[] {
    const local = this.#locals.get(name);
    if (!local) throw new Error(`${this.name} has no local ${name}`);
    return unsigned(local.index);
  }

  get(name: string): Code {
    return [0x20, ...this.#index(name)];
  }

  set(name: string, ...value: readonly Code[]): Code {
    return [...value.flat(), 0x21, ...this.#index(name)];
  }

  /** Adds to an i32. */
  advance(name: string, by: Code): Code {
    return this.set(name, this.get(name), by, op.add);
  }

  /** Of the code section. */
  get bytes(): number[] {
    const own = [...this.#locals.values()].slice(this.params.length);
    const declared = own.flatMap(({ type }) => [1, types[type]]);
    const content = [...unsigned(own.length), ...declared, ...this.body, 0x0b];
    return [...unsigned(content.length), ...content];
  }
}

/** A module of these functions, exported under their names; its memory is the import `env.memory`. */
export function assemble(functions: readonly FunctionBuilder[]): Uint8Array {
  const text = (value: string) => {
    const bytes = [...new TextEncoder().encode(value)];
    return [...unsigned(bytes.length), ...bytes];
  };
  const vector = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
  const section = (id: number, content: readonly number[]) => [id, ...unsigned(content.length), ...content];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(functions.map(({ params }) => [0x60, ...vector(params.map(() => [types.i32])), 0]))),
    ...section(2, vector([[...text('env'), ...text('memory'), 2, 0, 1]])),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(7, vector(functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]))),
    ...section(10, vector(functions.map(({ bytes }) => bytes))),
  ]);
}
