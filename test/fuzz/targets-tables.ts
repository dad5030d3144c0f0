import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { forgeMat, forgeZip, matElement, storedEntry } from '../attacks/forge.ts';
import { fixture } from './bases.ts';
import { type ByteEdit, editBytes, seldomEdited } from './byte-edits.ts';
import { type Target, target } from './target.ts';
import { bytesTarget, file } from './targets-weights.ts';

interface MatVariable {
  readonly kind: number;
  readonly flags: number;
  readonly shape: number[];
  readonly name: string;
  readonly type: number;
  readonly numbers: number[];
  /** Added to the length that the tag of the numbers claims. */
  readonly off: number;
  readonly compressed: number;
}

const matVariable: fc.Arbitrary<MatVariable> = fc.record({
  kind: fc.oneof({ weight: 4, arbitrary: fc.constant(6) }, fc.nat(255)),
  flags: fc.constantFrom(0, 0, 0, 8, 4, 2),
  shape: fc.oneof(
    { weight: 3, arbitrary: fc.nat(6).map((n) => [n, 1]) },
    fc.array(fc.oneof(fc.integer({ min: -3, max: 4 }), fc.constantFrom(2 ** 31 - 1, -(2 ** 31))), {
      maxLength: 5,
    }),
  ),
  name: fc.constantFrom('MOSz', 'a', '', 'x'.repeat(200), '__proto__'),
  type: fc.oneof({ weight: 3, arbitrary: fc.constant(9) }, fc.nat(20)),
  numbers: fc.array(fc.double(), { maxLength: 6 }),
  off: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    fc.integer({ min: -20, max: 20 }),
    fc.constantFrom(2 ** 31),
  ),
  compressed: fc.constantFrom(0, 0, 1, 1, 2),
});

function matBytes({ kind, flags, shape, name, type, numbers, off, compressed }: MatVariable): Buffer {
  const words = Buffer.alloc(8);
  words[0] = kind;
  words[1] = flags;
  const sizes = Buffer.from(Int32Array.from(shape).buffer);
  const data = Buffer.from(Float64Array.from(numbers).buffer);
  const length = Math.max(0, Math.min(0xffffffff, data.length + off));
  let element = matElement(
    14,
    Buffer.concat([
      matElement(6, words),
      matElement(5, sizes),
      matElement(1, Buffer.from(name)),
      matElement(type, data, length),
    ]),
  );
  for (let i = 0; i < compressed; i++) element = matElement(15, deflateSync(element));
  return element;
}

/** Variables of any class, size and type; compressed never, once or twice. */
const matVariables = target<{ variables: MatVariable[]; bytes: ByteEdit[] }>({
  name: 'matlab variables',
  reader: 'mat',
  whole: {
    variables: [
      { kind: 6, flags: 0, shape: [2, 1], name: 'MOSz', type: 9, numbers: [1, 2], off: 0, compressed: 1 },
    ],
    bytes: [],
  },
  plan: fc.record({
    variables: fc.array(matVariable, { minLength: 1, maxLength: 3 }),
    bytes: seldomEdited(2, 3),
  }),
  write: ({ variables, bytes }, folder) =>
    file(folder, 'a.mat', editBytes(forgeMat(variables.map(matBytes)), bytes)),
});

const cell = fc.oneof(
  fc.constantFrom(
    '',
    '1',
    '2.5',
    '-3',
    '1e39',
    '0x10',
    'NaN',
    'inf',
    '1,5',
    '"',
    '""',
    '"a\nb"',
    '=1+1',
    "'",
  ),
  fc.constantFrom(
    'a.png',
    '..',
    '/etc/passwd',
    '../../a',
    'con',
    '\u001b[2J',
    'train',
    'test',
    'val',
    'constructor',
  ),
  fc.string({ maxLength: 8, unit: 'binary' }),
);

/** Images that are there, as far as a dataset looks before any is decoded. */
const csvImages = Array.from({ length: 10 }, (_, i) => `${i}.png`);

/** Tables that are nearly a dataset. */
const csv = target<{
  header: string[];
  rows: string[][];
  separator: string;
  wide: boolean;
  bytes: ByteEdit[];
}>({
  name: 'csv',
  reader: 'csvDataset',
  whole: {
    header: ['name', 'mos'],
    rows: ['1', '2', '3'].map((mos, i) => [`${i}.png`, mos]),
    separator: ',',
    wide: false,
    bytes: [],
  },
  plan: fc.record({
    header: fc.oneof(
      {
        weight: 5,
        arbitrary: fc.constantFrom<string[]>(
          ['name', 'mos'],
          ['name', 'mos', 'split'],
          ['name', 'mos', 'prompt'],
        ),
      },
      fc.array(cell, { maxLength: 4 }),
    ),
    rows: fc.uniqueArray(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.tuple(
            fc.constantFrom(...csvImages, 'none.png'),
            fc.integer({ min: 0, max: 9 }).map(String),
            fc.constantFrom('train', 'test', 'val'),
          ),
        },
        fc.array(cell, { maxLength: 4 }),
      ),
      { maxLength: 12, selector: ([name]) => name },
    ),
    separator: fc.constantFrom(',', ',', ';', '\t'),
    wide: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
    bytes: seldomEdited(3, 3),
  }),
  write: ({ header, rows, separator, wide, bytes }, folder) => {
    for (const name of csvImages) writeFileSync(join(folder, name), '');
    const width = Math.max(1, header.length);
    const lines = [header, ...rows.map((row) => row.slice(0, width))].map((row) => row.join(separator));
    const text = wide ? Buffer.from(`\ufeff${lines.join('\n')}`, 'utf16le') : Buffer.from(lines.join('\n'));
    return file(folder, 'a.csv', editBytes(text, bytes));
  },
});

const tag = fc.constantFrom(
  ...[
    '<row>',
    '</row>',
    '<row/>',
    '<row r="3">',
    '<c>',
    '<c r="A1">',
    '<c r="B1" t="s">',
    '<c t="inlineStr">',
    '</c>',
  ],
  ...[
    '<c/>',
    '<v>',
    '</v>',
    '<v/>',
    '<is>',
    '<t>',
    '</t>',
    '</is>',
    '<si>',
    '</si>',
    '<',
    '>',
    '<!--',
    '&amp;',
    '&#0;',
  ],
  ...['name', 'mos', '0.png', '1', '2', '<c r="XFD1">', '<row r="99999999999">', '<c r="A0">'],
);

const sheetRow = (cells: readonly string[]) =>
  `<row>${cells.map((cell) => `<c t="str"><v>${cell}</v></c>`).join('')}</row>`;

/** A sheet whose tags are nearly in order. */
const workbookSheet = target<{ rows: string[][]; strings: string[]; bytes: ByteEdit[] }>({
  name: 'workbook sheet',
  reader: 'csvDataset',
  whole: { rows: [0, 1, 2].map((i) => [sheetRow([`${i}.png`, String(i)])]), strings: [], bytes: [] },
  plan: fc.record({
    rows: fc.array(
      fc.oneof(
        fc.nat(9).map((i) => [sheetRow([`${i}.png`, String(i)])]),
        fc.array(tag, { maxLength: 6 }),
      ),
      { maxLength: 8 },
    ),
    strings: fc.array(tag, { maxLength: 6 }),
    bytes: seldomEdited(2, 1),
  }),
  write: ({ rows, strings, bytes }, folder) => {
    for (const name of csvImages) writeFileSync(join(folder, name), '');
    const sheet = `<sheetData>${sheetRow(['name', 'mos'])}${rows.flat().join('')}</sheetData>`;
    const entries = [
      storedEntry('xl/worksheets/sheet1.xml', Buffer.from(sheet)),
      storedEntry('xl/sharedStrings.xml', Buffer.from(strings.join(''))),
    ];
    return file(folder, 'a.xlsx', editBytes(forgeZip(entries), bytes));
  },
});

/** Scores, as MATLAB, CSV and Excel files. */
export const tableTargets: readonly Target[] = [
  bytesTarget('matlab bytes', 'mat', ['plain.mat', 'compressed.mat', 'big-endian.mat', 'mixed.mat'], (base) =>
    fixture(`mat/${base}`),
  ),
  matVariables,
  csv,
  workbookSheet,
];
