import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Dataset } from '../src/data/datasets/index.ts';
import { describeData } from '../src/training/describe-data.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('tell');

/** Files of the given contents with the given scores, split by number. */
function dataset(
  files: readonly string[],
  mos: readonly number[],
  split: Record<'train' | 'val' | 'test', number[]>,
): Dataset {
  const samples = files.map((content, i) => {
    const name = `${i}.png`;
    writeFileSync(join(folder, name), content);
    return { name, path: join(folder, name), mos: mos[i]! };
  });
  const { train, val, test } = split;
  return {
    name: 'csv',
    target: 'mos',
    samples,
    thresholds: [1, 2, 3, 4, 5],
    missing: [],
    notes: ['something'],
    split: { train: Int32Array.from(train), val: Int32Array.from(val), test: Int32Array.from(test) },
    range: [Math.min(...mos), Math.max(...mos)],
  };
}

async function told(data: Dataset): Promise<string[]> {
  const lines: string[] = [];
  const reporter = {
    line: (text: string) => void lines.push(text),
    bar: () => ({ advance() {}, stop() {} }),
  };
  await describeData(data, defaultSettings(), reporter);
  return lines;
}

it('says how many of the images are used, and what the dataset notes', async () => {
  const all = dataset(['a', 'b', 'c', 'd'], [1, 2, 3, 4], { train: [0, 1], val: [], test: [2, 3] });
  expect(await told(all)).toEqual(['scores     mos, 1 to 4, 4 images', 'note       something']);
  const limited = dataset(['a', 'b', 'c', 'd'], [1, 2, 3, 4], { train: [0], val: [], test: [2, 3] });
  expect((await told(limited))[0]).toBe('scores     mos, 1 to 4, 3 of 4 images');
});

it('names training images that are held out as well', async () => {
  // 2 is 0 again, 5 is 1; 3 and 4 are of one size, but different.
  const files = ['same', 'other', 'same', 'four', 'five', 'other', 'long one', 'another'];
  const data = dataset(files, [1, 2, 3, 4, 5, 6, 7, 8], { train: [0, 1, 3, 6], val: [5], test: [2, 4, 7] });
  expect((await told(data)).filter((line) => line.startsWith('warning'))).toEqual([
    'warning    2 training images are, byte for byte, also in the test or validation set: 0.png = 2.png, 1.png = 5.png',
  ]);
  const apart = dataset(files, [1, 2, 3, 4, 5, 6, 7, 8], { train: [0, 2, 3], val: [5], test: [4, 7] });
  expect((await told(apart)).filter((line) => line.startsWith('warning'))).toEqual([]);
  const many = dataset(Array(10).fill('x'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], {
    train: [0, 1, 2, 3, 4],
    val: [],
    test: [5, 6],
  });
  expect((await told(many)).at(-1)).toMatch(/5 training images are, .* = \d\.png, and 2 more$/);
});

it('warns of a test set whose scores are all equal', async () => {
  const data = dataset(['a', 'bb', 'ccc', 'dddd'], [1, 2, 3, 3], { train: [0, 1], val: [], test: [2, 3] });
  expect((await told(data)).at(-1)).toBe('warning    all test scores are equal: correlations are undefined');
});

it('says how many test images share their prompt with a training image', async () => {
  const of = (contents: readonly (string | undefined)[]) => {
    const data = dataset(['a', 'b', 'c', 'd', 'e'], [1, 2, 3, 4, 5], {
      train: [0, 1],
      val: [2],
      test: [3, 4],
    });
    return { ...data, samples: data.samples.map((sample, at) => ({ ...sample, content: contents[at] })) };
  };
  const warnings = async (data: Dataset) =>
    (await told(data)).filter((line) => /^warning .* prompt/.test(line));
  expect(await warnings(of(['x', 'y', 'x', 'y', 'z']))).toEqual([
    expect.stringMatching(
      /^warning {4}2 of 3 test and validation images share their prompt with a training image/,
    ),
  ]);
  expect(await warnings(of(['x', 'y', 'z', 'w', 'w']))).toEqual([]);
  expect(await warnings(of([undefined, undefined, undefined, undefined, undefined]))).toEqual([]);
});
