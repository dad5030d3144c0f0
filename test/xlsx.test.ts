import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { numberField, readCsv } from '../src/data/formats/csv.ts';
import { readWorkbook } from '../src/data/formats/xlsx.ts';
import { forgeZip, storedEntry } from './attacks/forge.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('xlsx');
afterEach(() => {
  delete process.env.CLIP_AGIQA_LIMITS;
});
const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/xlsx/${name}`, import.meta.url));

/** A workbook of one sheet. */
function book(sheet: string, strings?: string): string {
  const entries = [
    ['xl/worksheets/sheet1.xml', sheet],
    ...(strings === undefined ? [] : [['xl/sharedStrings.xml', strings]]),
  ];
  const path = join(folder, 'a.xlsx');
  writeFileSync(path, forgeZip(entries.map(([name, text]) => storedEntry(name!, Buffer.from(text!)))));
  return path;
}

describe('a workbook', () => {
  it.each(['excel.xlsx', 'inline.xlsx'])('is read as a table: %s', async (name) => {
    const table = await readCsv(fixture(name));
    expect(table.columns).toEqual(['name', 'mos', 'note', '', 'last']);
    expect(table.rows.map(({ line, fields }) => [line, fields.name, fields.note, fields.last])).toEqual([
      [2, 'a & b.png', 'x < y', '0.001'],
      [3, 'ü, "q".png', 'bold text', '1'],
      [5, 'c.png', 'spaced', ''],
    ]);
    expect(table.rows.map((row) => numberField(table, row, 'mos'))).toEqual([2.5, 3, 2]);
  });

  it('may leave out where cells are, use another prefix for its names, and write numbers as texts', async () => {
    const sheet =
      '<?xml version="1.0"?><!-- a > b --><x:worksheet><x:sheetData>' +
      '<x:row><x:c t="s"><x:v>1</x:v></x:c><x:c t="str"><x:f>A1</x:f><x:v>mos</x:v></x:c></x:row>' +
      '<x:row/><x:row r="7"><x:c/><x:c t="inlineStr"><x:is><x:t>2,5</x:t></x:is></x:c></x:row>' +
      '</x:sheetData></x:worksheet>';
    const path = book(sheet, '<sst><si/><si><t>na</t><r><t>me</t></r><rPh><t>NAME</t></rPh></si></sst>');
    expect(await readWorkbook(path)).toEqual([
      { line: 1, cells: ['name', 'mos'] },
      { line: 2, cells: [] },
      { line: 7, cells: ['', '2,5'] },
    ]);
    const table = await readCsv(path);
    expect(numberField(table, table.rows[0]!, 'mos')).toBe(2.5);
  });

  const row = (cells: string) => `<sheetData><row r="1">${cells}</row></sheetData>`;
  it.each([
    ['a text that is not there', row('<c t="s"><v>3</v></c>'), /first sheet is damaged/],
    ['a text without a number', row('<c t="s"/><c t="s"><v></v></c>'), /first sheet is damaged/],
    ['columns out of order', row('<c r="B1"><v>1</v></c><c r="A1"><v>2</v></c>'), /first sheet is damaged/],
    ['a cell outside rows', '<c r="A1"><v>1</v></c>', /first sheet is damaged/],
    ['a tag without an end', '<sheetData><row', /first sheet is damaged/],
    ['column ZZZ', row('<c r="ZZZ1"><v>1</v></c>'), /has 18,278 columns, more than the limit/],
    ['a header alone', row('<c r="A1"><v>1</v></c>'), /no rows below the header/],
  ])('is refused with %s', async (_, sheet, message) => {
    await expect(readCsv(book(sheet, '<sst/>'))).rejects.toThrow(message);
  });

  it('is one within limits', async () => {
    process.env.CLIP_AGIQA_LIMITS = 'csvRows=3';
    await expect(readCsv(book(`<sheetData>${'<row/>'.repeat(4)}</sheetData>`))).rejects.toThrow(/has 4 rows/);
    process.env.CLIP_AGIQA_LIMITS = 'csvFields=9';
    const cells = '<row><c r="J1"/></row>';
    await expect(readCsv(book(`<sheetData>${cells}</sheetData>`))).rejects.toThrow(/has 10 cells/);
    await expect(readCsv(book('<row/>', '<si/>'.repeat(10)))).rejects.toThrow(/has 10 texts/);
  });

  it('is no other archive', async () => {
    const path = join(folder, 'a.csv');
    writeFileSync(path, forgeZip([storedEntry('data.pkl', Buffer.from('x'))]));
    await expect(readCsv(path)).rejects.toThrow(/a\.csv: is a zip archive, but no Excel workbook/);
  });
});
