import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { exportTuning, importTuning, tuned } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { cacheFolder } from './cache-folder.ts';
import { temporaryFolder } from './temporary-folder.ts';

// What passes for a GPU, whose kernels are chosen by measurement: runs of one seed, the first with nothing measured yet. Without subgroups,
// since a software adapter compiles those variants for seconds each.
const cache = cacheFolder('run-tuning-');
const folder = temporaryFolder('run-tuning');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
beforeAll(() => makeScenes(images, { scenes: 10, versions: 2, size: 32, seed: 3 }));

async function train(name: string, more: Record<string, unknown> = {}, resume: false | string = false) {
  const gpu = await openGpu({ profile: ['gpu', 'no-subgroups'] });
  const out = join(folder, name);
  const lines: string[] = [];
  const settings = {
    root: images,
    weights,
    trainer: 'image-only',
    views: 1,
    batchSize: 4,
    epochs: 2,
    cache: 'none',
    out,
    ...more,
  };
  await trainRun(gpu, applySettings(defaultSettings(), settings, 'test'), {
    resume,
    reporter: { ...silent, line: (text) => void lines.push(text) },
  });
  const table = new Map(tuned(gpu));
  gpu.close();
  const read = (file: string) => readFileSync(join(out, file), 'utf8');
  return { out, table, lines, predictions: read('predictions.csv'), read };
}

it('a run gives the same bits whether its kernels have been measured before or not', async () => {
  const first = await train('first');
  expect(first.table.size).toBeGreaterThan(2);
  const second = await train('second');
  expect(second.predictions).toBe(first.predictions);
  // Nothing was left to measure while the first computed.
  expect([...second.table.keys()].sort()).toEqual([...first.table.keys()].sort());
  expect(second.read('tuning.json')).toBe(first.read('tuning.json'));
});

it('a run goes on with the table it began with, whatever was measured since', async () => {
  const whole = await train('whole', { epochs: 3 });
  const part = await train('part', { epochs: 2 });
  // Another time the tuner finds others to be the fastest.
  const path = join(part.out, 'tuning.json');
  const kept = readFileSync(path, 'utf8');
  process.env.CLIP_AGIQA_TUNING = join(folder, 'other.json');
  try {
    const other = JSON.parse(kept);
    for (const measurement of Object.values<{ variant: string }>(other.measured))
      measurement.variant = 'naive';
    writeFileSync(process.env.CLIP_AGIQA_TUNING, JSON.stringify(other));
    const gone = await train('part', { epochs: 3 }, part.out);
    expect(gone.predictions).toBe(whole.predictions);
    expect(gone.read('tuning.json')).toBe(kept);
  } finally {
    delete process.env.CLIP_AGIQA_TUNING;
  }
  expect(existsSync(cache)).toBe(true);
});

it('a run that is not tuned keeps no table', async () => {
  const run = await train('never', { tune: 'never', epochs: 1 });
  expect(existsSync(join(run.out, 'tuning.json'))).toBe(false);
});

it('a table goes to another machine of the same kind, and to no other', async () => {
  const [gpu, other] = [await openGpu({ profile: ['gpu', 'no-subgroups'] }), await openGpu({ profile: [] })];
  const text = exportTuning(gpu);
  expect(importTuning(gpu, text)).toBe(true);
  expect(importTuning(other, text)).toBe(false);
  expect(importTuning(gpu, text.slice(0, 30))).toBe(false);
  for (const one of [gpu, other]) one.close();
});
