import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { findColumn, numberField, readCsv, requireColumn } from '../src/data/formats/csv.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('csv');
function file(text: string | Uint8Array): string {
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

  it('takes every kind of line end, also where a file has several', async () => {
    const { rows } = await readCsv(file('name,mos\r\na.png,1\nb.png,2\rc.png,3\r\nd.png,4'));
    expect(rows.map(({ line, fields }) => [line, fields.name, fields.mos])).toEqual([
      [2, 'a.png', '1'],
      [3, 'b.png', '2'],
      [4, 'c.png', '3'],
      [5, 'd.png', '4'],
    ]);
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

describe('dialects', () => {
  const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();

  it.each([
    ['semicolons', ';', 'name;mos\na.png;2.5\nb, c.png;3\n'],
    ['semicolons and decimal commas', ';', 'name;mos\na.png;2,5\n"b, c.png";3\n'],
    ['tabs', '\t', 'name\tmos\na.png\t2.5\nb, c.png\t3\n'],
    ['tabs and decimal commas', '\t', 'name\tmos\na.png\t2,5\nb, c.png\t3\n'],
    [
      'UTF-16 as Excel writes Unicode text',
      '\t',
      Buffer.from('\ufeffname\tmos\r\na.png\t2,5\r\nb, c.png\t3\r\n', 'utf16le'),
    ],
    ['UTF-16, high bytes first', ',', utf16be('\ufeffname,mos\na.png,2.5\n"b, c.png",3\n')],
    ['a byte order mark before a quoted name', ';', '\ufeff"name";mos\r\na.png;2,5\r\n"b, c.png";3\r\n'],
    ['the separator named in a first line', ';', 'sep=;\r\nname;mos\r\na.png;2,5\r\n"b, c.png";3\r\n'],
    ['no line end at the end', ';', 'name;mos\na.png;2,5\n"b, c.png";3'],
  ])('%s', async (_, separator, text) => {
    const table = await readCsv(file(text));
    expect([table.separator, ...table.columns]).toEqual([separator, 'name', 'mos']);
    expect(table.rows.map((row) => [row.fields.name, numberField(table, row, 'mos')])).toEqual([
      ['a.png', 2.5],
      ['b, c.png', 3],
    ]);
  });

  it('Windows-1252 is read as such, and said; a few damaged characters of UTF-8 are only said', async () => {
    const latin = await readCsv(file(Buffer.from('name;mos\ncaf\xe9 \x96 \x80.png;2,5\n', 'latin1')));
    expect(latin.rows[0]!.fields.name).toBe('café – €.png');
    expect(latin.note).toMatch(/\.csv: not in UTF-8: read as Windows-1252/);
    const damaged = await readCsv(
      file(
        Buffer.concat([Buffer.from('name,mos\nカフェ.png,1\ncaf'), Buffer.of(0xe9), Buffer.from('.png,2\n')]),
      ),
    );
    expect(damaged.rows.map(({ fields }) => fields.name)).toEqual(['カフェ.png', 'caf\ufffd.png']);
    expect(damaged.note).toMatch(/\.csv: 1 of its characters are damaged/);
    expect(await readCsv(file('name,mos\ncafé.png,1\n'))).not.toHaveProperty('note');
  });

  it('tells separators apart by the records where the header has several', async () => {
    const semicolons = await readCsv(file('name;mos, mean;prompt, if any\na;1;x\nb;2;y\n'));
    expect(semicolons.columns).toEqual(['name', 'mos, mean', 'prompt, if any']);
    const commas = await readCsv(file('name,mos,prompt; seed; style\na,1,x; 5; y\nb,2,z\n'));
    expect(commas.columns).toEqual(['name', 'mos', 'prompt; seed; style']);
    const quoted = await readCsv(file('name,"a;b;c;d"\nx,"1;2"\n'));
    expect(quoted.columns).toEqual(['name', 'a;b;c;d']);
    expect((await readCsv(file('name\na;b\nc\n'))).columns).toEqual(['name']);
  });

  it('keeps the line numbers, and says what the separator seems to be', async () => {
    const table = await readCsv(file('sep=;\nname;mos\na;1\nb;good\n'));
    expect(() => numberField(table, table.rows[1]!, 'mos')).toThrow(/line 4: mos is "good"/);
    await expect(readCsv(file('name;mos\na;1\nb;2;3\n'))).rejects.toThrow(/line 3 \(separator: semicolon\)/);
  });

  it('mixes no decimal points and commas', async () => {
    const table = await readCsv(file('name;mos\na;1.5\nb;2,5\n'));
    expect(numberField(table, table.rows[0]!, 'mos')).toBe(1.5);
    expect(() => numberField(table, table.rows[1]!, 'mos')).toThrow(/line 3: mos is "2,5"/);
    const commas = await readCsv(file('name,mos\na,"1,5"\n'));
    const failure = await Promise.resolve()
      .then(() => numberField(commas, commas.rows[0]!, 'mos'))
      .catch((e) => e);
    expect(failure.advice).toMatch(/decimal points, or separate the columns by semicolons/);
    for (const wrong of ['1,2,3', '1.2,3', ',', '1,x']) {
      const odd = await readCsv(file(`name;mos\na;${wrong}\n`));
      expect(() => numberField(odd, odd.rows[0]!, 'mos')).toThrow(/not a number/);
    }
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
