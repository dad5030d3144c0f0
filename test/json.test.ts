import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { count, finite, parseJson } from '../src/common/json.ts';
import { readJson } from '../src/common/json-file.ts';
import { readTextSync } from '../src/common/read-file.ts';
import { temporaryFolder } from './temporary-folder.ts';

const schema = v.object({ state: v.object({ epochs: v.array(finite) }), steps: count, name: v.string() });
const whole = { state: { epochs: [1] }, steps: 3, name: 'x' };
const folder = temporaryFolder('json');

test('what fits comes back, without what the schema does not name', () => {
  expect(parseJson(JSON.stringify({ ...whole, more: 1 }), schema, 'a.json')).toEqual(whole);
});

test.each([
  ['{"state"', /^a\.json: is not JSON \(/],
  ['', /is not JSON/],
  ['null', /a\.json: is null, not an object/],
  ['[]', /state is missing/],
  [JSON.stringify({ ...whole, steps: undefined }), /a\.json: steps is missing/],
  [JSON.stringify({ ...whole, steps: -1 }), /steps is -1, not at least 0/],
  [JSON.stringify({ ...whole, steps: 0.5 }), /steps is 0\.5, not an integer/],
  [JSON.stringify({ ...whole, name: { a: 1 } }), /name is {"a":1}, not a string/],
  [JSON.stringify({ ...whole, state: { epochs: {} } }), /state\.epochs is {}, not a list/],
  ['{"state":{"epochs":[1,1e999]}}', /state\.epochs\.1 is Infinity, not a finite number/],
  [
    `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    /is nested 200,000 levels deep, more than the limit of 100/,
  ],
  [`[${'[],'.repeat(1_000_000)}0]`, /holds 2,000,002 values, more than the limit of/],
])('refused: %.30s', (text, message) => {
  const attempt = () => parseJson(text, schema, 'a.json');
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(expect.objectContaining({ name: 'UserError' }));
});

test('brackets, commas and quotes within texts do not count', () => {
  const name = `\\"${'[{,'.repeat(1000)}"\\`;
  expect(parseJson(JSON.stringify({ ...whole, name }), schema, 'a.json').name).toBe(name);
});

test.each([
  ['as JSON', async (path: string) => readJson(path, schema)],
  ['at once', async (path: string) => JSON.parse(readTextSync(path, 'jsonBytes'))],
])('only regular files of a bounded size are read %s', async (how, read) => {
  const path = join(folder, `${how}.json`);
  writeFileSync(path, `\u{feff}${JSON.stringify(whole)}`);
  expect(await read(path)).toEqual(whole);
  await expect(read(folder)).rejects.toThrow(/is not a regular file/);
  await expect(read('/dev/zero')).rejects.toThrow(/is not a regular file/);
  await expect(read(join(folder, 'none'))).rejects.toThrow(/cannot be read \(ENOENT\)/);
  const pipe = join(folder, `pipe ${how}`);
  execFileSync('mkfifo', [pipe]);
  await expect(read(pipe)).rejects.toThrow(/is not a regular file/);
  process.env.CLIP_AGIQA_LIMITS = 'jsonBytes=10';
  try {
    await expect(read(path)).rejects.toThrow(/has \d+ bytes, more than the limit of 10/);
  } finally {
    delete process.env.CLIP_AGIQA_LIMITS;
  }
});
