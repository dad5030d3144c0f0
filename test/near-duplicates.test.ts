import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import type { Dataset, Sample } from '../src/data/datasets/index.ts';
import { groupsOf, nearDuplicates } from '../src/features/near-duplicates.ts';
import { warnNearDuplicates } from '../src/training/warn-near-duplicates.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('pictures');
const names = [
  'drawn.png',
  'again.jpg',
  'small.webp',
  'moved.png',
  'other.png',
  'broken.png',
  'black.png',
  'dark.jpg',
];
const samples: Sample[] = names.map((name) => ({ name, path: join(folder, name), mos: 1 }));

/** Circles on a gradient; `at` moves one of them. */
const drawing = (at: number, fill = 'crimson') =>
  sharp(
    Buffer.from(
      `<svg width="96" height="96"><defs><linearGradient id="g"><stop stop-color="navy"/><stop offset="1" stop-color="gold"/></linearGradient></defs><rect width="96" height="96" fill="url(#g)"/><circle cx="${at}" cy="40" r="20" fill="${fill}"/></svg>`,
    ),
  ).removeAlpha();
const black = () => sharp({ create: { width: 64, height: 64, channels: 3, background: '#000' } });

beforeAll(async () => {
  await drawing(40).png().toFile(join(folder, 'drawn.png'));
  await drawing(40).jpeg({ quality: 60 }).toFile(join(folder, 'again.jpg'));
  await drawing(40).resize(64, 64).webp({ quality: 80 }).toFile(join(folder, 'small.webp'));
  await drawing(48).png().toFile(join(folder, 'moved.png'));
  await drawing(40, 'teal').png().toFile(join(folder, 'other.png'));
  writeFileSync(join(folder, 'broken.png'), 'no image');
  await black().png().toFile(join(folder, 'black.png'));
  await black().jpeg({ quality: 30 }).toFile(join(folder, 'dark.jpg'));
});

const all = [...names.keys()];

describe('near duplicates', () => {
  it('is found in another compression and size, and is not what is moved or of another color', async () => {
    const groups = await nearDuplicates(samples, all, { cache: 'none', reporter: silent });
    expect([...groups]).toEqual([0, 0, 0, 3, 4, 5, 6, 6]);
    const some = await nearDuplicates(samples, [1, 2, 7], { cache: 'none', reporter: silent });
    expect([...some]).toEqual([0, 1, 1, 3, 4, 5, 6, 7]);
  });

  it('is found again from the cache, whatever the files are called', async () => {
    const cache = join(folder, 'cache');
    const before = await nearDuplicates(samples, all, { cache, reporter: silent });
    expect(readdirSync(cache).length).toBeGreaterThan(0);
    expect(await nearDuplicates(samples, all, { cache, reporter: silent })).toEqual(before);
  });

  it('has many thumbnails of one mean told apart, and groups joined by a third', () => {
    const thumbnail = (value: number, first: number) => {
      const values = new Float32Array(768).fill(value);
      values[0] = first;
      return values;
    };
    const of = (...list: Float32Array[]) => [...groupsOf(list.length, new Map(list.entries()))];
    expect(of(thumbnail(50, 50), thumbnail(52, 52), thumbnail(53, 53))).toEqual([0, 0, 0]);
    expect(of(thumbnail(50, 50), thumbnail(52.5, 52.5))).toEqual([0, 1]);
    expect(of(thumbnail(50, 50), thumbnail(50, 67))).toEqual([0, 1]);
    expect(of(thumbnail(50, 50), thumbnail(50, 66))).toEqual([0, 0]);
  });
});

it('a run is warned of near duplicates that it trains on and tests with', async () => {
  const dataset = (train: number[], test: number[], more: Partial<Dataset> = {}): Dataset => ({
    name: 'csv',
    target: 'mos',
    samples,
    split: { train: Int32Array.from(train), val: new Int32Array(), test: Int32Array.from(test) },
    thresholds: [],
    range: [0, 1],
    missing: [],
    notes: [],
    ...more,
  });
  const told = async (data: Dataset) => {
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => void lines.push(text) };
    await warnNearDuplicates(data, { cache: 'none', reporter });
    return lines;
  };
  expect(await told(dataset([0, 3, 7], [1, 4, 5, 6]))).toEqual([
    'warning    2 training images are nearly the same as a test or validation image: drawn.png ≈ again.jpg, dark.jpg ≈ black.png',
  ]);
  expect(await told(dataset([0, 1], [3, 4, 5, 6]))).toEqual([]);
  expect(await told(dataset([0], [1], { versions: true }))).toEqual([]);
});
