import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { FeatureScaling, featureStatistics, standardizeFeatures } from '../src/model/feature-scaling.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('feature-scaling');
const images = join(folder, 'images');

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 64, seed: 3 }));

describe('feature statistics', () => {
  it('are the mean and the standard deviation of each number, over all rows an array holds', () => {
    const { mean, std } = featureStatistics(
      [Float32Array.of(1, 10, 3, 10), Float32Array.of(5, 10), Float32Array.of(7, 10)],
      2,
    );
    expect([...mean]).toEqual([4, 10]);
    expect(std[0]).toBeCloseTo(Math.sqrt(5), 6);
    expect(std[1]).toBe(0);
  });

  it('standardize rows on the host', () => {
    const rows = Float32Array.of(1, 5, 3, 5);
    standardizeFeatures(rows, 2);
    expect([...rows]).toEqual([-1, 0, 1, 0]);
  });

  it('standardize features, and leave 0 of a number that never varies; without them the length is 1', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, [1, 10, 7, 10], [2, 2]);
    const statistics = { mean: Float32Array.of(4, 10), std: Float32Array.of(3, 0) };
    for (const [given, expected] of [
      [statistics, [-1, 0, 1, 0]],
      [null, [1 / Math.hypot(1, 10), 10 / Math.hypot(1, 10), 7 / Math.hypot(7, 10), 10 / Math.hypot(7, 10)]],
    ] as const) {
      const scaling = new FeatureScaling(gpu, given);
      const y = scope(() => scaling.forward(x));
      expect(maxError(await y.read(), Float32Array.from(expected))).toBeLessThan(1e-6);
      y.dispose();
      scaling.dispose();
    }
    x.dispose();
  });
});

describe('an image-only run on standardized features with AdamW', () => {
  const settingsOf = (out: string, changes: Partial<Settings> = {}) =>
    applySettings(
      defaultSettings(),
      {
        data: 'scenes',
        root: images,
        weights: fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url)),
        trainer: 'image-only',
        layers: '1,2',
        pool: 'stats',
        scaling: 'standard',
        optimizer: 'adamw',
        augment: 'none',
        lr: 0.003,
        weightDecay: 0.01,
        epochs: 4,
        batchSize: 8,
        cache: 'none',
        out: join(folder, out),
        ...changes,
      },
      'test',
    );
  const checkpoint = (out: string, name: string) => readCheckpoint(join(folder, out, name));

  it('encodes every image once, and the scorer gives its predictions', async () => {
    const gpu = await sharedGpu();
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => lines.push(text) };
    await trainRun(gpu, settingsOf('whole'), { resume: false, reporter });
    expect(lines.find((line) => line.startsWith('features'))).toMatch(/ 30 encoded/);
    const records = readFileSync(join(folder, 'whole', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const losses = records.map((line) => JSON.parse(line).loss);
    expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]);

    const { constants } = await checkpoint('whole', 'model.safetensors');
    expect(constants.get('features.mean')!.shape).toEqual([2 * 3 * 64]);
    const rows = readFileSync(join(folder, 'whole', 'predictions.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1);
    const scorer = await Scorer.load(gpu, join(folder, 'whole'), { batch: 4 });
    const paths = rows.map((row) => join(images, row.split(',')[0]!));
    for await (const result of scorer.score(paths))
      expect('score' in result && result.score).toBeCloseTo(Number(rows[result.index]!.split(',')[2]), 4);
    await scorer.close();
  });

  it('resumes to the same bits', async () => {
    const gpu = await sharedGpu();
    const stopping = {
      ...silent,
      line: (text: string) => {
        if (text.startsWith('epoch 2')) throw new Error('power cut');
      },
    };
    const settings = settingsOf('stopped');
    await expect(trainRun(gpu, settings, { resume: false, reporter: stopping })).rejects.toThrow('power cut');
    await trainRun(gpu, settings, { resume: true, reporter: silent });
    const [a, b] = [
      await checkpoint('whole', 'checkpoint.safetensors'),
      await checkpoint('stopped', 'checkpoint.safetensors'),
    ];
    expect(a.optimizer.size).toBeGreaterThan(4);
    for (const part of ['parameters', 'optimizer'] as const)
      for (const [name, { data }] of a[part]) expect(b[part].get(name)!.data).toEqual(data);
  });
});
