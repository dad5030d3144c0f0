import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { findColumn, numberField, readCsv, requireColumn } from '../src/data/formats/csv.ts';

const folder = mkdtempSync(join(tmpdir(), 'csv-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
function file(text: string): string {
  const path = join(folder, 'table.csv');
  writeFileSync(path, text);
  return path;
}

describe('readCsv', () => {
  it('reads quotes, commas and line breaks within fields, a byte order mark and Windows line ends', async () => {
    const table = await readCsv(
      file('\ufeffname,prompt\r\na.png,"one, ""two""\nthree"\r\n\r\nb.png,four\r\n'),
    );
    expect(table.columns).toEqual(['name', 'prompt']);
    expect(table.rows.map(({ fields }) => fields)).toEqual([
      { name: 'a.png', prompt: 'one, "two"\nthree' },
      { name: 'b.png', prompt: 'four' },
    ]);
    expect(table.rows[1]!.line).toBe(5);
  });

  it.each([
    ['a file that is not there', () => join(folder, 'none.csv'), /none\.csv: cannot be read \(ENOENT\)/],
    ['an empty file', () => file(''), /no rows/],
    ['a header alone', () => file('name,mos\n'), /no rows/],
    ['a row with a field too many', () => file('name,mos\na,1\nb,2,3\n'), /line 3/],
    ['an open quote', () => file('name,mos\na,"1\n'), /[Qq]uote/],
  ])('says what is wrong with %s', async (_, path, message) => {
    const failure = await readCsv(path()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as UserError).message).toMatch(message);
  });
});

describe('columns and fields', () => {
  it('are found without regard to case, the exact spelling first', async () => {
    const table = await readCsv(file('MOS_Nat,mos_nat\n1,2\n'));
    expect(findColumn(table, ['mos_nat'])).toBe('mos_nat');
    expect(findColumn(table, ['x', 'MOS_NAT'])).toBe('MOS_Nat');
    expect(findColumn(table, ['x'])).toBeUndefined();
  });

  it('name the columns there are when one is missing', async () => {
    const table = await readCsv(file('file,score\na,1\n'));
    expect(() => requireColumn(table, ['name'])).toThrow(/no column "name"; found: file, score/);
  });

  it.each(['', 'good', 'NaN', '1,5'])('refuse "%s" as a number, with its line', async (value) => {
    const table = await readCsv(file(`name,mos\na,1\nb,"${value}"\n`));
    expect(numberField(table, table.rows[0]!, 'mos')).toBe(1);
    expect(() => numberField(table, table.rows[1]!, 'mos')).toThrow(/table\.csv, line 3: mos is "/);
  });
});
