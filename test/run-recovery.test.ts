import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('run-recovery');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
beforeAll(() => makeScenes(images, { scenes: 10, versions: 2, size: 32, seed: 3 }));

let unguard: (() => void) | undefined;
afterEach(() => unguard?.());

/** Counts submissions, and destroys the device before the one that `lose` names. */
function submissions(lose = 0) {
  const counted = { count: 0 };
  unguard = guardDevice(({ kind, device }) => {
    if (kind === 'submit' && ++counted.count === lose) device.destroy();
    return undefined;
  });
  return counted;
}

/** Runs on a device of its own, and gives what was told of losses and how many submissions it took. */
async function on(lose: number, run: (gpu: Gpu, reporter: typeof silent) => Promise<unknown>) {
  const gpu = await openGpu();
  const lines: string[] = [];
  const counted = submissions(lose);
  try {
    await run(gpu, { ...silent, line: (text) => void lines.push(text) });
  } finally {
    unguard!();
    gpu.close();
  }
  return { lost: lines.filter((text) => text.startsWith('recovering')), count: counted.count };
}

const settingsOf = (out: string) =>
  applySettings(
    defaultSettings(),
    {
      data: 'scenes',
      root: images,
      weights,
      trainer: 'image-only',
      views: 0,
      epochs: 2,
      batchSize: 8,
      hidden: 16,
      cache: 'none',
      tune: 'never',
      out: join(folder, out),
    },
    'test',
  );

const left = (out: string) => {
  const {
    seconds: _,
    finished: ____,
    folder: __,
    settings: ___,
    ...summary
  } = JSON.parse(readFileSync(join(folder, out, 'summary.json'), 'utf8'));
  return { summary, predictions: readFileSync(join(folder, out, 'predictions.csv'), 'utf8') };
};

it('a run that draws crops at each step goes on by itself where its device is lost, to the same bytes', async () => {
  const train = (out: string) => (gpu: Gpu, reporter: typeof silent) =>
    trainRun(gpu, settingsOf(out), { resume: false, reporter });
  const { count } = await on(0, train('whole'));
  // While it encodes what it must know before, and in its second epoch.
  for (const lose of [3, count - 8]) {
    const out = `lost-${lose}`;
    const { lost } = await on(lose, train(out));
    expect(lost, `lost at submission ${lose} of ${count}`).toHaveLength(1);
    expect(left(out)).toEqual(left('whole'));
    const models = await Promise.all(
      ['whole', out].map((run) => readCheckpoint(join(folder, run, 'model.safetensors'))),
    );
    for (const part of ['parameters', 'constants'] as const)
      expect(models[1]![part]).toEqual(models[0]![part]);
  }
});
