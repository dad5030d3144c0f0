import { deflateSync } from 'node:zlib';
import { type Attack, fileAttack } from './attack.ts';
import {
  deflatedEntry,
  deflatedRun,
  type ForgedEntry,
  forgeMat,
  forgeZip,
  matElement,
  matMatrix,
  runEntry,
} from './forge.ts';

const mebi = 2 ** 20;
const toCsv = ['mat2csv'];

/** A zlib stream around a run of one byte; its checksum is left out, which is noticed last of all. */
const zlibRun = (blocks: number): Buffer =>
  Buffer.concat([Buffer.of(0x78, 0x9c), deflatedRun(0, blocks).packed, Buffer.alloc(4)]);

const matAttack = (name: string, once: string, elements: () => readonly Buffer[], message: RegExp): Attack =>
  fileAttack('attack.mat', {
    name,
    once,
    reader: 'mat',
    bytes: () => forgeMat(elements()),
    message,
    command: toCsv,
  });

const csvAttack = (name: string, once: string, text: () => string | Buffer, message: RegExp): Attack =>
  fileAttack('attack.csv', { name, once, reader: 'csvDataset', bytes: text, message });

const sheetAttack = (name: string, once: string, sheet: () => ForgedEntry[], message: RegExp): Attack =>
  csvAttack(name, once, () => forgeZip(sheet()), message);

/** A workbook's first sheet, compressed. */
const sheetOf = (xml: string): ForgedEntry[] => [deflatedEntry('xl/worksheets/sheet1.xml', Buffer.from(xml))];

const yamlAttack = (name: string, once: string, text: () => string, message: RegExp): Attack =>
  fileAttack('attack.yaml', {
    name,
    once,
    reader: 'yaml',
    bytes: text,
    message,
    command: ['train', '--config'],
  });

/** MATLAB's files, CSV, YAML, specifications, texts. */
export const tableAttacks: readonly Attack[] = [
  matAttack(
    'a compressed variable of 2 GB',
    '2 MB: 4.1 GB of memory',
    () => [matElement(15, zlibRun(120))],
    /its variables unpack to too many bytes, more than the limit of/,
  ),
  matAttack(
    'compressed variables within one another',
    'each level unpacked as much again',
    () => [matElement(15, deflateSync(matElement(15, deflateSync(matMatrix('MOSz', [1, 1], [3])))))],
    /holds a compressed variable inside another/,
  ),
  matAttack(
    'a million compressed variables of nothing',
    'each cost a call of zlib',
    () => [Buffer.concat(Array<Buffer>(1_000_000).fill(matElement(15, deflateSync(Buffer.alloc(0)))))],
    /holds 20,001 elements, more than the limit of/,
  ),
  matAttack(
    'flags of no bytes',
    'a stack trace: getUint32 out of bounds',
    () => [matMatrix('MOSz', [1, 1], [3], Buffer.alloc(0))],
    /holds a variable without flags/,
  ),
  matAttack(
    'a size of -1 x -5',
    'passed the reader',
    () => [matMatrix('MOSz', [-1, -5], [1, 2, 3, 4, 5])],
    /holds a variable of size -1 x -5/,
  ),
  matAttack(
    'a size of 4 million numbers',
    'as long in the message',
    () => [matMatrix('MOSz', Array<number>(4_000_000).fill(1), [3])],
    /a variable has 4,000,000 dimensions, more than the limit of/,
  ),
  csvAttack(
    '32 million commas',
    '4 GB of memory',
    () => Buffer.alloc(32 * mebi, ','),
    /has [\d,]+ fields, more than the limit of/,
  ),
  csvAttack(
    'ten million rows',
    'a minute, and 5 GB of memory',
    () => `name,mos\n${'a,1\n'.repeat(8_000_000)}`,
    /has [\d,]+ lines, more than the limit of/,
  ),
  csvAttack(
    'a split called constructor',
    "TypeError: Cannot read properties of undefined (reading 'push')",
    () => 'name,mos,split\na.png,1,constructor\nb.png,2,__proto__\n',
    /line 2: split is "constructor"/,
  ),
  csvAttack(
    'a score of 1e39',
    'became infinite in float32: "loss became NaN in epoch 1"',
    () => 'name,mos\na.png,1\nb.png,1e39\n',
    /line 3: mos is "1e39", not a number/,
  ),
  csvAttack('a score of 0x10', 'was read as 16', () => 'name,mos\na.png,0x10\nb.png,2\n', /mos is "0x10"/),
  csvAttack(
    'a table in UTF-16 without a byte order mark',
    'one column of odd characters',
    () => Buffer.from('name,mos\na.png,1\n', 'utf16le'),
    /holds zero bytes/,
  ),
  csvAttack(
    '16 million semicolons in UTF-16',
    '2 GB of memory',
    () => Buffer.from(`\ufeffname;mos\n${';'.repeat(15 * mebi)}`, 'utf16le'),
    /has [\d,]+ fields, more than the limit of/,
  ),
  csvAttack('a table with zero bytes', 'names that end early', () => 'name,mos\na\0.png,1\n', /zero bytes/),
  csvAttack(
    'two columns of one name',
    'the later one counted, silently',
    () => 'name,mos,mos\na.png,1,2\nb.png,2,1\n',
    /two columns are named "mos"/,
  ),
  sheetAttack(
    'a workbook whose sheet unpacks to 1 GB',
    '1 MB: as much memory',
    () => [runEntry('xl/worksheets/sheet1.xml', 0x20, 64)],
    /sheet1\.xml has [\d,]+ bytes, more than the limit of/,
  ),
  sheetAttack(
    'a workbook of 100,000 rows with a cell in the last column',
    'a billion empty cells',
    () => sheetOf(`<sheetData>${'<row><c r="ALL1"/></row>'.repeat(100_000)}</sheetData>`),
    /has 1,501,000 cells, more than the limit of/,
  ),
  sheetAttack(
    'a workbook of eight million tags that say nothing',
    'seconds',
    () => sheetOf(`<sheetData>${'<a/>'.repeat(8_000_000)}</sheetData>`),
    /no rows below the header/,
  ),
  sheetAttack(
    'a workbook of 30 million brackets',
    'an hour, with a regular expression that looks for the end from each',
    () => sheetOf('<'.repeat(30_000_000)),
    /its first sheet is damaged/,
  ),
  sheetAttack(
    'a workbook with entities within entities',
    'never expanded',
    () =>
      sheetOf(
        `<!DOCTYPE a [<!ENTITY b "${'&c;'.repeat(1000)}">]><sheetData><row><c t="str"><v>${'&b;'.repeat(100_000)}</v></c></row></sheetData>`,
      ),
    /no rows below the header/,
  ),
  yamlAttack(
    'a billion laughs',
    'refused by the library from the start',
    () =>
      `a: &a [x]\n${Array.from({ length: 20 }, (_, i) => `b${i}: &${'b'.repeat(i + 1)} [${`*${'b'.repeat(i) || 'a'},`.repeat(9)}]`).join('\n')}\n`,
    /attack\.yaml/,
  ),
  yamlAttack(
    'lists nested 15,000 deep',
    'as deep a recursion',
    () => `a: ${'['.repeat(15_000)}${']'.repeat(15_000)}\n`,
    /attack\.yaml/,
  ),
  yamlAttack(
    'a megabyte of settings',
    'any amount was read and parsed',
    () => `seed: 1\n${'#'.repeat(mebi)}\n`,
    /has [\d,]+ bytes, more than the limit of/,
  ),
  yamlAttack(
    'a setting of lists within lists',
    'spelled out in the message',
    () => `lr: ${'['.repeat(90)}${']'.repeat(90)}\n`,
    /lr must be a number of at least 0, not/,
  ),
  yamlAttack('a setting called __proto__', 'nothing', () => '__proto__: 1\n', /no setting named __proto__/),
  fileAttack('attack.json', {
    name: 'a specification of a tensor of 8 GB',
    once: '100 bytes: 8 GB of memory',
    reader: 'spec',
    bytes: () => JSON.stringify({ seed: 1, tensors: { w: { shape: [2 ** 31], scale: 1, offset: 0 } } }),
    message: /tensor w has 2,147,483,648 elements, more than the limit of/,
    command: ['weights', '--out', 'attack.safetensors', '--spec'],
  }),
  fileAttack('attack.txt', {
    name: 'a caption of 10 MB without a space',
    once: 'no end: byte pairs merged in the square of the length',
    reader: 'text',
    bytes: () => 'abcdefghijklmnopqrstuvw'.repeat(450_000),
    message: /has 10,350,000 characters, more than the limit of/,
  }),
];
