import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import {
  errorDeviation,
  featureDistance,
  fitErrorModel,
  percentiles,
  reliabilityTable,
  shareNearer,
} from '../src/model/doubt.ts';
import type { GradeConstants } from '../src/model/grades.ts';
import { reportPage } from '../src/report/page.ts';
import { readResults } from '../src/report/run-files.ts';
import { doubtNames, readDoubt } from '../src/scoring/doubt.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readModel } from '../src/scoring/trained-model.ts';
import { calibrateGrades, gradeReliability } from '../src/training/cross-fit.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, uniformRandoms } from './reference/values.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('doubt');
const gpu = await sharedGpu();

describe('the standard deviation of errors', () => {
  const [noise, width] = [randoms(4000, 1), uniformRandoms(4000, 2).map((value) => 1.1 + 0.9 * value)];
  const spreads = [...width];
  const errors = [...noise].map((value, i) => value * Math.sqrt(0.04 + 0.5 * spreads[i]! ** 2));

  it('is found from held-out errors and spreads', () => {
    const model = fitErrorModel({ errors, spreads });
    expect(errorDeviation(model, 0.3) / Math.sqrt(0.04 + 0.5 * 0.09)).toBeGreaterThan(0.8);
    expect(errorDeviation(model, 2) / Math.sqrt(0.04 + 2)).toBeCloseTo(1, 0.5);
    for (const { n, stated, observed, covered } of reliabilityTable({ errors, spreads }, model)) {
      expect(n).toBe(800);
      expect(Math.abs(stated / observed - 1)).toBeLessThan(0.3);
      expect(covered).toBeGreaterThan(0.9);
    }
  });

  it('is the same for all where spreads say nothing, and never below 0', () => {
    const same = fitErrorModel({ errors: [1, -1, 2, -2], spreads: [0, 0, 0, 0] });
    expect(same).toEqual({ base: 2.5, factor: 0 });
    const against = fitErrorModel({ errors: [3, 2, 1, 0], spreads: [0, 1, 2, 3] });
    expect(against.factor).toBe(0);
    const steep = fitErrorModel({ errors: [0, 0, 0, 9], spreads: [1, 1, 1, 1.1] });
    expect(steep.base).toBeGreaterThanOrEqual(0);
  });
});

it('a feature is as far as its standardized numbers say, and ranked among the training images', () => {
  const statistics = { mean: Float32Array.of(1, 2, 3), std: Float32Array.of(2, 0, 1) };
  expect(featureDistance(Float32Array.of(3, 9, 2), statistics)).toBeCloseTo(1, 12);
  const quantiles = percentiles(Array.from({ length: 201 }, (_, i) => 200 - i));
  expect([quantiles[0], quantiles[50], quantiles[100]]).toEqual([0, 100, 200]);
  expect([-1, 100, 150.5, 201].map((distance) => shareNearer(distance, quantiles))).toEqual([
    0, 0.5, 0.76, 1,
  ]);
});

it('grades that are too sure are calibrated on held-out images', () => {
  const boundaries = Float32Array.of(-1, 1);
  const draws = randoms(6000, 5);
  const asked = Array.from({ length: 3000 }, (_, i) => {
    const score = draws[i]!;
    const logistic = 1 / (1 + Math.exp(-1.7 * draws[3000 + i]!)); // about uniform
    const ability = score - Math.log(1 / logistic - 1);
    return { score, grade: ability < -1 ? 0 : ability < 1 ? 1 : 2 };
  });
  const sure = { slope: 4, boundaries: boundaries.map((at) => 4 * at) };
  const calibrated = calibrateGrades(sure, asked);
  expect(calibrated.slope).toBeGreaterThan(0.8);
  expect(calibrated.slope).toBeLessThan(1.4);
  const off = (grades: GradeConstants) =>
    gradeReliability(grades, asked).reduce(
      (sum, { n, stated, observed }) => sum + n * Math.abs(stated - observed),
      0,
    );
  expect(off(calibrated)).toBeLessThan(0.4 * off(sure));
});

describe('a model that was trained to say how sure it is', () => {
  const run = join(folder, 'run');
  const scenes = join(folder, 'scenes');
  let images: string[];
  beforeAll(async () => {
    await makeScenes(scenes, { scenes: 10, versions: 2, size: 80, seed: 3 });
    images = readdirSync(scenes)
      .filter((name) => name.endsWith('.png'))
      .map((name) => join(scenes, name));
    const values = {
      data: 'scenes',
      root: scenes,
      weights: resolve('test/fixtures/tiny-clip.json'),
      trainer: 'image-only',
      layers: '1,2',
      pool: 'stats',
      scaling: 'standard',
      mosScaling: 'standard',
      augment: 'none',
      crops: 2,
      members: 2,
      loss: 'mse+0.2*grades',
      words: 'bad,fair,good',
      doubtFolds: 3,
      epochs: 3,
      batchSize: 4,
      hidden: 8,
      lr: 0.01,
      cache: 'none',
      out: run,
    };
    await trainRun(gpu, applySettings(defaultSettings(), values, 'test'), {
      resume: false,
      reporter: silent,
    });
  });

  it('says it in columns beside the same scores', async () => {
    const { constants, settings } = await readModel(run);
    const names = doubtNames(readDoubt(constants, settings, run));
    expect(names).toEqual([
      'uncertainty',
      'spread_members',
      'spread_crops',
      'distance',
      'unusual',
      'p_bad',
      'p_fair',
      'p_good',
    ]);
    const [plain, doubting] = [await Scorer.load(gpu, run), await Scorer.load(gpu, run, { doubt: true })];
    try {
      const scores: number[] = [];
      for await (const result of plain.score(images)) if ('score' in result) scores.push(result.score);
      const rows: Record<string, number>[] = [];
      for await (const result of doubting.score(images))
        if ('score' in result) {
          expect(result.score).toBe(scores[result.index]);
          expect(Object.keys(result.columns!)).toEqual(names);
          rows.push(result.columns!);
        }
      expect(rows.length).toBe(20);
      for (const row of rows) {
        expect(Object.values(row).every((value) => value >= 0)).toBe(true);
        expect(row.p_bad! + row.p_fair! + row.p_good!).toBeCloseTo(1, 10);
        expect(row.uncertainty).toBeGreaterThan(0);
      }
      for (const name of ['spread_members', 'spread_crops', 'distance', 'p_bad'])
        expect(new Set(rows.map((row) => row[name])).size, name).toBeGreaterThan(5);
    } finally {
      await plain.close();
      await doubting.close();
    }
  });

  it('has its reliability in the report', async () => {
    const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
    expect(summary.doubt.folds).toBe(3);
    const counted = summary.doubt.errors.reduce((sum: number, { n }: { n: number }) => sum + n, 0);
    expect(counted).toBe(summary.images.train);
    const page = reportPage(await readResults(run), []);
    expect(page).toContain('root mean square error');
    expect(page).toContain('stated probability of a grade');
  });
});
