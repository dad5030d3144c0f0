import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readCsv } from '../src/data/formats/csv.ts';
import { runBuilt } from './built-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = temporaryFolder('mat2csv');
const fixture = (path: string) => join(root, 'test', 'fixtures', path);
const mosz = fixture('datasets/aigciqa2023/MOS/mosz2.mat');

const mat2csv = (...args: string[]) => runBuilt('mat2csv', args, { cwd: folder });

test('writes name and mos, every digit of them', async () => {
  expect(mat2csv(mosz, '--out', 'mos.csv')).toEqual({
    status: 0,
    stdout: '',
    stderr: 'mos.csv: 12 scores\n',
  });
  const { columns, rows } = await readCsv(join(folder, 'mos.csv'));
  expect(columns).toEqual(['name', 'mos']);
  expect(rows.map(({ fields }) => fields.name)).toEqual(Array.from({ length: 12 }, (_, i) => `${i}.png`));
  // The file's rule, see the fixture's make-mat.py.
  for (const [i, { fields }] of rows.entries()) expect(Number(fields.mos)).toBe(27.125 + i * 4.1 - 1);
  expect(mat2csv(mosz).stdout).toBe(readFileSync(join(folder, 'mos.csv'), 'utf8'));
});

test("turns AIGCIQA2023's folder into the files that its dataset takes", async () => {
  const { status, stdout } = mat2csv(fixture('datasets/aigciqa2023/MOS'), '--out', 'scores');
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  for (const [k, target] of ['quality', 'authenticity', 'correspondence'].entries()) {
    const { rows } = await readCsv(join(folder, 'scores', `mos_${target}.csv`));
    expect(rows.map(({ fields }) => [fields.name, Number(fields.mos)])).toEqual(
      Array.from({ length: 12 }, (_, i) => [`${i}.png`, 27.125 + i * 4.1 - k]),
    );
  }
});

test('takes the variable and the names that are asked for', () => {
  const { stdout } = mat2csv(fixture('mat/plain.mat'), '--variable', 'small', '--names', 'a/{i}.jpg');
  expect(stdout).toBe('name,mos\na/0.jpg,1\na/1.jpg,2\na/2.jpg,3\n');
});

test('says what is wrong with the file or the options', () => {
  const refused = (...args: string[]) => {
    const { status, stdout, stderr } = mat2csv(...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    return stderr;
  };
  expect(refused(fixture('mat/plain.mat'))).toMatch(/variables are lists of numbers: .*--variable/s);
  expect(refused(mosz, '--variable', 'MOS')).toMatch(/no variable MOS; found: MOSz \(12x1\)/);
  expect(refused(fixture('mat/plain.mat'), '--variable', 'cube')).toMatch(/cube is 2x3x4, not a list/);
  expect(refused(mosz, '--names', 'x.png')).toMatch(/does not contain \{i\}/);
  expect(refused(fixture('datasets/aigciqa2023'))).toMatch(/contains none of mosz1\.mat, /);
  expect(refused('none.mat')).toMatch(/none\.mat: cannot be read/);
});

test('writes names that a spreadsheet would run with an apostrophe, unless told not to', async () => {
  const args = [fixture('mat/plain.mat'), '--variable', 'small', '--names', '=cmd|{i}'];
  const guarded = mat2csv(...args, '--out', 'formulas.csv');
  expect(guarded.status).toBe(0);
  expect(readFileSync(join(folder, 'formulas.csv'), 'utf8')).toContain("\n'=cmd|0,1\n");
  const { rows } = await readCsv(join(folder, 'formulas.csv'));
  expect(rows[0]!.fields.name).toBe('=cmd|0');
  expect(mat2csv(...args, '--raw-csv').stdout).toContain('\n=cmd|0,1\n');
});

test('refuses an output that cannot be written before it reads, and follows a symbolic link', () => {
  mkdirSync(join(folder, 'a-folder'));
  const refused = mat2csv(mosz, '--out', 'a-folder');
  expect(refused).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^error: a-folder: is a folder/),
  });
  // The missing file is not even looked for.
  expect(mat2csv('missing.mat', '--out', 'a-folder').stderr).toMatch(/is a folder/);
  writeFileSync(join(folder, 'real.csv'), 'old');
  symlinkSync('real.csv', join(folder, 'link.csv'));
  expect(mat2csv(mosz, '--out', 'link.csv').status).toBe(0);
  expect(readFileSync(join(folder, 'real.csv'), 'utf8')).toMatch(/^name,mos\n/);
  expect(mat2csv(mosz, '--out', '-').stdout).toBe(readFileSync(join(folder, 'real.csv'), 'utf8'));
  expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
});
