import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeScenes } from '../src/data/scenes/make.ts';
import { guardDevice } from '../src/kernels/device-guard.ts';
import { openGpu } from '../src/kernels/gpu.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { silent } from '../src/training/reporter.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'run-recovery-'));
const pictures = join(folder, 'pictures');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
beforeAll(() => makeScenes(pictures, { scenes: 10, versions: 2, size: 32, seed: 3 }));
afterAll(() => rmSync(folder, { recursive: true }));

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
async function on(
  lose: number,
  run: (gpu: Awaited<ReturnType<typeof openGpu>>, reporter: typeof silent) => Promise<unknown>,
) {
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

/** Points spread over a run, its beginning and its end among them. */
const spread = (count: number, points: number) =>
  Array.from({ length: points }, (_, i) => 1 + Math.round((i * (count - 1)) / (points - 1)));

describe('a run whose device is lost goes on by itself, to the same bytes', () => {
  const settingsOf = (out: string, changes: Partial<Settings>) =>
    applySettings(
      defaultSettings(),
      {
        ...{
          data: 'scenes',
          root: pictures,
          weights,
          epochs: 3,
          batchSize: 8,
          views: 1,
          hidden: 16,
          nCtx: 2,
        },
        ...{ cache: 'none', tune: 'never', out: join(folder, out), ...changes },
      },
      'test',
    );
  const left = (out: string) => {
    const {
      seconds: _,
      folder: __,
      settings: ___,
      ...summary
    } = JSON.parse(readFileSync(join(folder, out, 'summary.json'), 'utf8'));
    return { summary, predictions: readFileSync(join(folder, out, 'predictions.csv'), 'utf8') };
  };

  it.each([
    ['few stored features a step of encoding', { encodeBatch: 1, trainer: 'image-only', epochs: 1 }],
    ['new crops each step', { views: 0, epochs: 2 }],
  ] as [string, Partial<Settings>][])('training: %s', async (name, changes) => {
    const train = (out: string) => (gpu: Awaited<ReturnType<typeof openGpu>>, reporter: typeof silent) =>
      trainRun(gpu, settingsOf(out, changes), { resume: false, reporter });
    const { count } = await on(0, train(name));
    for (const lose of spread(count, 3)) {
      const out = `${name}-${lose}`;
      const { lost } = await on(lose, train(out));
      expect(lost, `lost at submission ${lose} of ${count}`).toHaveLength(1);
      expect(left(out)).toEqual(left(name));
      const models = await Promise.all(
        [name, out].map((run) => readCheckpoint(join(folder, run, 'model.safetensors'))),
      );
      for (const part of ['parameters', 'constants'] as const)
        expect(models[1]![part]).toEqual(models[0]![part]);
    }
  });
});
