import fc from 'fast-check';
import { inside } from './byte-edits.ts';

/** How the argument of each opcode is laid out (CPython's pickletools); those left out have none. */
const argumentsOf: Readonly<Record<string, number | 'line' | 'lines' | 'text1' | 'text4' | 'text8'>> = {
  '\x80': 1,
  '\x95': 8,
  K: 1,
  M: 2,
  J: 4,
  '\x8a': 'text1',
  '\x8b': 'text4',
  I: 'line',
  L: 'line',
  F: 'line',
  G: 8,
  X: 'text4',
  '\x8c': 'text1',
  '\x8d': 'text8',
  V: 'line',
  S: 'line',
  U: 'text1',
  T: 'text4',
  C: 'text1',
  B: 'text4',
  '\x8e': 'text8',
  '\x96': 'text8',
  p: 'line',
  q: 1,
  r: 4,
  g: 'line',
  h: 1,
  j: 4,
  c: 'lines',
  i: 'lines',
  P: 'line',
};

/** The opcodes of a pickle, each with its argument, one character a byte. */
export function disassemble(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString('latin1');
  const view = Buffer.from(bytes);
  const opcodes: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = Math.min(text.length, endOf(text, view, at));
    opcodes.push(text.slice(at, end));
    if (text[at] === '.') break;
    at = end;
  }
  return opcodes;
}

function endOf(text: string, view: Buffer, at: number): number {
  const kind = argumentsOf[text[at]!] ?? 0;
  const line = (from: number) => {
    const found = text.indexOf('\n', from);
    return found < 0 ? text.length : found + 1;
  };
  if (typeof kind === 'number') return at + 1 + kind;
  if (kind === 'line') return line(at + 1);
  if (kind === 'lines') return line(line(at + 1));
  if (kind === 'text1') return at + 2 + (view[at + 1] ?? 0);
  if (kind === 'text4') return at + 5 + (at + 5 <= view.length ? view.readUInt32LE(at + 1) : 0);
  return at + 9 + (at + 9 <= view.length ? Number(view.readBigUInt64LE(at + 1)) : 0);
}

const uint32 = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('latin1');
};
const text4 = (text: string): string => `X${uint32(text.length)}${text}`;
const names = [
  'ctorch\nFloatStorage\n',
  'ctorch\nLongStorage\n',
  'ctorch.storage\nUntypedStorage\n',
  'ctorch\nfloat32\n',
  'ctorch\nSize\n',
  'ctorch\ndevice\n',
  'ctorch._utils\n_rebuild_tensor_v2\n',
  'ctorch._utils\n_rebuild_tensor_v3\n',
  'ctorch._utils\n_rebuild_parameter\n',
  'ctorch._tensor\n_rebuild_from_type_v2\n',
  'ctorch.nn.parameter\nParameter\n',
  'ccollections\nOrderedDict\n',
  'ccollections\ndefaultdict\n',
  'cbuiltins\nlist\n',
  'cbuiltins\ntuple\n',
  'cbuiltins\nset\n',
  'cbuiltins\ndict\n',
  'cbuiltins\nint\n',
  'c_codecs\nencode\n',
  'ccopyreg\n_reconstructor\n',
  'cnumpy\ndtype\n',
  'cnumpy.core.multiarray\nscalar\n',
  'c__torch__.a\nB\n',
  'ctorch.optim.sgd\nSGD\n',
  'cos\nsystem\n',
  'cbuiltins\neval\n',
  'cbuiltins\n__proto__\n',
];
const storageId = `(${text4('storage')}ctorch\nFloatStorage\n${text4('0')}${text4('cpu')}K\x04tQ`;
const memo = fc.nat(7).map((key) => String.fromCharCode(key));

/** One opcode with an argument that may be anything. */
export const opcode: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(...'()]}NtldaesuR0210\x88\x89\x85\x86\x87\x8f\x90\x91\x93\x94\x81\x92bQo'),
  },
  { weight: 4, arbitrary: fc.constantFrom(...names) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('q', 'h'), memo).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.constant(storageId) },
  { weight: 2, arbitrary: fc.nat(255).map((value) => `K${String.fromCharCode(value)}`) },
  { weight: 1, arbitrary: fc.nat(0xffffffff).map((value) => `J${uint32(value)}`) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('storage', '0', 'cpu', 'weight', 'state_dict', 'f8', 'little_endian', 'k'.repeat(300))
      .map(text4),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...'ILFVSpgP'),
        fc.constantFrom(
          '1',
          '-1',
          '00',
          '01',
          '9'.repeat(80),
          'nan',
          'x',
          '',
          '1e999',
          '0L',
          '\\u0041\\U00110000',
          "'a'",
        ),
      )
      .map(([op, line]) => `${op}${line}\n`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('X', 'B', 'T', '\x8b', 'j', 'r'), fc.nat(0xffffffff))
      .map(([op, length]) => op + uint32(length)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('\x8c', 'U', 'C', '\x8a'), fc.string({ maxLength: 10 }))
      .map(
        ([op, data]) =>
          `${op}${String.fromCharCode(Buffer.byteLength(data))}${Buffer.from(data).toString('latin1')}`,
      ),
  },
  { weight: 1, arbitrary: fc.nat(255).map((code) => String.fromCharCode(code)) },
);

/** A change of a program of opcodes. */
export interface OpcodeEdit {
  readonly at: number;
  readonly op: 'insert' | 'remove' | 'replace' | 'repeat' | 'swap' | 'again';
  readonly opcode: string;
  readonly count: number;
}

export const opcodeEdit: fc.Arbitrary<OpcodeEdit> = fc.record({
  at: fc.nat(2000),
  op: fc.constantFrom('insert', 'remove', 'replace', 'repeat', 'swap', 'again'),
  opcode,
  count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(100, 3000)),
});

export function editOpcodes(program: readonly string[], edits: readonly OpcodeEdit[]): string {
  const opcodes = [...program];
  for (const { at, op, opcode: code, count } of edits) {
    const place = inside(at, Math.max(1, opcodes.length));
    if (op === 'insert') opcodes.splice(place, 0, code);
    else if (op === 'remove') opcodes.splice(place, Math.min(count, 5));
    else if (op === 'replace') opcodes[place] = code;
    else if (op === 'repeat') opcodes.splice(place, 0, ...Array<string>(count).fill(code));
    else if (op === 'again') opcodes.splice(place, 0, ...Array<string>(count).fill(opcodes[place] ?? code));
    else if (place + 1 < opcodes.length)
      [opcodes[place], opcodes[place + 1]] = [opcodes[place + 1]!, opcodes[place]!];
  }
  return opcodes.join('');
}
