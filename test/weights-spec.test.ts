import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fnv1a32 } from '../src/common/fnv1a.ts';
import { generateTensor, generateValues, readWeightsSpec, u } from '../src/model/weights/weights-spec.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('spec');

/** The definition again, in integers of any size. */
function byDefinition(name: string, i: number, seed: number): number {
  const mask = 0xffffffffn;
  let key = 0x811c9dc5n;
  for (const byte of Buffer.from(name)) key = ((key ^ BigInt(byte)) * 0x01000193n) & mask;
  let h = ((key ^ BigInt(seed)) + BigInt(i) * 0x9e3779b9n) & mask;
  h ^= h >> 16n;
  h = (h * 0x85ebca6bn) & mask;
  h ^= h >> 13n;
  h = (h * 0xc2b2ae35n) & mask;
  h ^= h >> 16n;
  return Number(h >> 8n) * 2 ** -23 - 1;
}

test("FNV-1a's published values", () => {
  expect(fnv1a32('')).toBe(0x811c9dc5);
  expect(fnv1a32('a')).toBe(0xe40c292c);
  expect(fnv1a32('foobar')).toBe(0xbf9cf968);
});

test('u(name, i) follows its definition, also where i wraps', () => {
  for (const name of ['', 'ctx', 'visual.proj', 'é']) {
    for (const i of [0, 1, 2, 12345, 25_296_895, 2 ** 31 + 1]) {
      for (const seed of [0, 1, 0xffffffff]) expect(u(name, i, seed)).toBe(byDefinition(name, i, seed));
    }
  }
  const values = generateValues('ctx', 100_000, { seed: 1, scale: 1 });
  expect(values.every((value) => value >= -1 && value < 1)).toBe(true);
  expect(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length)).toBeLessThan(0.01);
});

test('first and last values of ViT-B/16 by name, computed with NumPy in float32', async () => {
  const path = join(folder, 'spec.json');
  const tensors = {
    'visual.class_embedding': { shape: [768], scale: 0.0625, offset: 0 },
    'visual.positional_embedding': { shape: [197, 768], scale: 0.0625, offset: 0 },
    'visual.conv1.weight': { shape: [768, 3, 16, 16], scale: 0.0625, offset: 0 },
  };
  writeFileSync(path, JSON.stringify({ seed: 1, tensors }));
  const spec = await readWeightsSpec(path);
  const ends = (name: string) => {
    const values = generateTensor(spec, name);
    return [values[0], values.at(-1)];
  };
  expect(ends('visual.class_embedding')).toEqual([-0.05965910106897354, -0.04021458327770233]);
  expect(ends('visual.positional_embedding')).toEqual([0.05248454958200455, -0.0011503323912620544]);
  expect(ends('visual.conv1.weight')).toEqual([-0.012644052505493164, 0.023956529796123505]);
});

test.each([
  ['{', /is not JSON/],
  ['null', /is null, not an object/],
  ['{"seed": 1}', /tensors is missing/],
  [
    '{"seed": 1, "tensors": {"a": {"shape": [-1], "scale": 1, "offset": 0}}}',
    /tensors\.a\.shape\.0 is -1, not at least 0/,
  ],
  [
    '{"seed": 1, "tensors": {"a": {"shape": [1e6, 1e6], "scale": 1, "offset": 0}}}',
    /tensor a has 1,000,000,000,000 elements/,
  ],
  [
    '{"seed": 1, "tensors": {"a": {"shape": [1], "scale": "1", "offset": 0}}}',
    /a\.scale is "1", not a number/,
  ],
  ['{"seed": 1, "tensors": {"a": {"shape": [1], "scale": 1e300, "offset": 0}}}', /a\.scale is 1e\+300/],
  ['{"seed": 0.5, "tensors": {}}', /seed is 0\.5, not an integer/],
])('refused: %s', async (text, message) => {
  const path = join(folder, 'bad.json');
  writeFileSync(path, text);
  await expect(readWeightsSpec(path)).rejects.toMatchObject({
    name: 'UserError',
    message: expect.stringMatching(message),
  });
});
