import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { meanAndStd, parseSeeds, trainSeeds } from '../src/training/seeds.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('seeds');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 64, seed: 3 }));

it('mean and sample standard deviation', () => {
  const { mean, std } = meanAndStd([2, 4, 4, 4, 5, 5, 7, 9]);
  expect(mean).toBe(5);
  expect(std).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(meanAndStd([3])).toEqual({ mean: 3, std: Number.NaN });
});

it('lists of seeds', () => {
  expect(parseSeeds('1,2, 30')).toEqual([1, 2, 30]);
  for (const wrong of ['', '1,', '1;2', '1,1', '-1', '1.5'])
    expect(() => parseSeeds(wrong)).toThrow(/--seeds/);
});

it('runs each seed as a run of its own, and writes what they come to', async () => {
  const out = join(folder, 'runs');
  const cache = join(folder, 'cache');
  const values = { data: 'scenes', root: images, weights, epochs: 2, batchSize: 8, nCtx: 4, cache, out };
  const settings = applySettings(defaultSettings(), values, 'test');
  const lines: string[] = [];
  const reporter = { ...silent, line: (text: string) => void lines.push(text) };
  const finished: number[] = [];
  const summary = await trainSeeds(await sharedGpu(), settings, [3, 8], {
    resume: false,
    reporter,
    finished: (run) => void finished.push(run.settings.seed),
  });
  expect(finished).toEqual([3, 8]);
  // 6 test images, and 24 training images of 2 crops, which are drawn by the seed.
  expect(lines.filter((line) => line.startsWith('features'))).toEqual([
    'features   54 encoded, 0 from the cache',
    'features   48 encoded, 6 from the cache',
  ]);
  const figures = [3, 8].map((seed) => {
    const run = JSON.parse(readFileSync(join(out, `seed${seed}`, 'summary.json'), 'utf8'));
    return run.test.overall.srcc as number;
  });
  expect(summary.runs.map(({ srcc }) => srcc)).toEqual(figures);
  const [a, b] = figures as [number, number];
  const written = JSON.parse(readFileSync(join(out, 'seeds.json'), 'utf8'));
  expect(written.mean.srcc).toBeCloseTo((a + b) / 2, 12);
  expect(written.std.srcc).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12);
  expect(written.runs.map(({ seed }: { seed: number }) => seed)).toEqual([3, 8]);
});
