import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { writeTorchScript } from '../src/data/formats/torchscript-writer.ts';
import { type HeadName, headNames } from '../src/model/head.ts';
import { readOriginalCheckpoint } from '../src/model/weights/original-checkpoint.ts';

const fixture = fileURLToPath(new URL('./fixtures/original-checkpoint', import.meta.url));
const expected: Record<string, Record<string, { shape: number[]; data: number[] }>> = JSON.parse(
  readFileSync(join(fixture, 'expected.json'), 'utf8'),
);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'original-'));
  cpSync(fixture, folder, { recursive: true });
});

const parts = ['prompt_learner', 'regression'];

test.each([
  [undefined, 10],
  [10, 10],
  [2, 2],
])('epoch %s: the values that PyTorch reads', async (wanted, epoch) => {
  const checkpoint = await readOriginalCheckpoint(folder, wanted);
  expect(checkpoint.epoch).toBe(epoch);
  const arrays: [string, { shape: readonly number[]; data: Float32Array }][] = [
    ['ctx', checkpoint.ctx],
    ...headNames.map((name): [HeadName, typeof checkpoint.ctx] => [name, checkpoint.head[name]]),
  ];
  for (const [name, { shape, data }] of arrays) {
    const want = expected[epoch]![name]!;
    expect(shape, name).toEqual(want.shape);
    expect([...data], name).toEqual(want.data.map(Math.fround));
  }
});

test('the best one goes first, and a part without its counterpart does not count', async () => {
  renameSync(join(folder, 'regression', 'model.pth.tar-10'), join(folder, 'regression', 'aside'));
  expect((await readOriginalCheckpoint(folder)).epoch).toBe(2);
  await expect(readOriginalCheckpoint(folder, 10)).rejects.toMatchObject({
    message: expect.stringMatching(/model\.pth\.tar-10 is not in both/),
    advice: expect.stringMatching(/model\.pth\.tar-2\./),
  });
  renameSync(join(folder, 'regression', 'aside'), join(folder, 'regression', 'model.pth.tar-10'));
  for (const part of parts)
    cpSync(join(folder, part, 'model.pth.tar-2'), join(folder, part, 'model-best.pth.tar'));
  expect((await readOriginalCheckpoint(folder)).epoch).toBe(2);
  expect((await readOriginalCheckpoint(folder, 'best')).epoch).toBe(2);
  expect((await readOriginalCheckpoint(folder, 10)).epoch).toBe(10);
});

test('a folder, a tensor or a shape that does not fit is named', async () => {
  const path = join(folder, 'regression', 'model.pth.tar-10');
  const head = (sizes: Partial<Record<HeadName, number[]>>) =>
    writeTorchScript(
      path,
      new Map(
        Object.entries(sizes).map(([name, shape]) => {
          const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
          return [name, { dtype: 'F32', shape, data } as const];
        }),
      ),
    );
  await head({ '1.weight': [5, 56], '1.bias': [5] });
  await expect(readOriginalCheckpoint(folder)).rejects.toThrow(/tensor 4\.weight is missing/);
  await head({ '1.weight': [5, 56], '1.bias': [5], '4.weight': [1, 6], '4.bias': [1] });
  await expect(readOriginalCheckpoint(folder)).rejects.toThrow(
    /4\.weight has the shape \[1, 6\], expected \[1, 5\]/,
  );
  await expect(readOriginalCheckpoint(folder, 3)).rejects.toThrow(/model\.pth\.tar-3 is not in both/);
  rmSync(join(folder, 'regression'), { recursive: true });
  await expect(readOriginalCheckpoint(folder)).rejects.toThrow(/has no folder regression/);
});
