import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { TargetScaling } from '../src/training/target-scaling.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('target-scaling');
const images = join(folder, 'images');
const csv = join(folder, 'large.csv');

beforeAll(async () => {
  await makeScenes(images, { scenes: 10, versions: 3, size: 64, seed: 3 });
  const [header, ...rows] = readFileSync(join(images, 'data.csv'), 'utf8').trim().split('\n');
  const column = (name: string) => header!.split(',').indexOf(name);
  // The scenes' scores as if on AIGCIQA2023's scale.
  const large = rows.map((row) => {
    const cells = row.split(',');
    return `${cells[column('name')]},${26 + 10 * Number(cells[column('mos')])},${cells[column('split')]}`;
  });
  writeFileSync(csv, ['name,mos,split', ...large].join('\n'));
});

it('standardizes and restores, and leaves scores that are all the same', () => {
  const scaling = new TargetScaling([26, 50, 74]);
  expect(scaling.mean).toBe(50);
  expect(scaling.standardize(74)).toBeCloseTo(24 / Math.sqrt((2 * 24 ** 2) / 3), 12);
  expect(scaling.restore(scaling.standardize(61.5))).toBeCloseTo(61.5, 12);
  expect(new TargetScaling([3, 3]).standardize(3)).toBe(0);
});

it.each(['clip-agiqa', 'image-only'])(
  '%s learns standardized scores and predicts in their unit',
  async (trainer) => {
    const gpu = await sharedGpu();
    const out = join(folder, trainer);
    const settings = {
      data: 'csv',
      csv,
      root: images,
      splitColumn: 'split',
      weights: resolve('test/fixtures/tiny-clip.json'),
      trainer,
      mosScaling: 'standard',
      nCtx: 4,
      epochs: 3,
      batchSize: 8,
      views: 1,
      cache: 'none',
      out,
    };
    const summary = await trainRun(gpu, applySettings(defaultSettings(), settings, 'test'), {
      resume: false,
      reporter: silent,
    });
    // A head that starts near 0 starts at the mean, where it would otherwise be some 40 away.
    expect(summary.before!.rmse).toBeLessThan(20);
    const rows = readFileSync(join(out, 'predictions.csv'), 'utf8').trim().split('\n').slice(1);
    for (const row of rows) expect(Number(row.split(',')[2])).toBeGreaterThan(26);
    const scorer = await Scorer.load(gpu, out, { batch: 4 });
    const paths = rows.map((row) => join(images, row.split(',')[0]!));
    for await (const result of scorer.score(paths))
      expect('score' in result && result.score).toBeCloseTo(Number(rows[result.index]!.split(',')[2]), 3);
    await scorer.close();
  },
);
