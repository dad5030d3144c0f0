import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCsv } from '../src/data/formats/csv.ts';
import { csvText } from '../src/data/formats/csv-writer.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('csv-writer');

async function readBack(names: readonly string[]): Promise<string[]> {
  const path = join(folder, 'written.csv');
  writeFileSync(path, csvText([['name', 'mos'], ...names.map((name) => [name, -1.5])]));
  const { rows } = await readCsv(path);
  return rows.map(({ fields }) => {
    expect(fields.mos).toBe('-1.5');
    return fields.name!;
  });
}

const starts = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

describe('csvText', () => {
  it.each(starts)('writes a name that begins with %j so that no spreadsheet runs it', (start) => {
    const text = csvText([[`${start}HYPERLINK("x")`]]);
    expect(text).toMatch(/^"?'/);
    expect(csvText([[`${start}1`]], { raw: true })).not.toMatch(/'/);
  });

  it('leaves numbers as they are', () => {
    expect(csvText([['a', -1.5, 1e-7, 0]])).toBe('a,-1.5,1e-7,0\n');
  });

  it('leaves other names as they are', () => {
    expect(csvText([['a=b.png', "it's", "'quoted'"]])).toBe("a=b.png,it's,'quoted'\n");
  });

  it('is read back by our own reader, name for name', async () => {
    const names = [
      ...starts.flatMap((start) => [`${start}x`, `'${start}x`, `''${start}x`]),
      ...[
        "'",
        "''",
        "'x",
        ' x',
        'x ',
        '\u00a0x',
        'a,b',
        'a"b',
        '"',
        'a\nb',
        'a\rb',
        'a\r\nb',
        '\\',
        '-',
        '=',
      ],
    ];
    expect(await readBack(names)).toEqual(names);
  });

  it('is read back whatever the names are', async () => {
    const character = fc.constantFrom(...starts, "'", '"', ',', ' ', 'x', 'é', '😀', ';');
    const name = fc.array(character, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 1, maxLength: 5 }), async (names) => {
        expect(await readBack(names)).toEqual(names);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
