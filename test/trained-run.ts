import { resolve } from 'node:path';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';

/** Draws a few scenes into `images` and leaves in `out` the run of a small head trained on them. */
export async function trainTinyRun(images: string, out: string): Promise<void> {
  await makeScenes(images, { scenes: 10, versions: 2, size: 64, seed: 3 });
  const settings = {
    root: images,
    weights: resolve('test/fixtures/tiny-clip.json'),
    trainer: 'image-only',
    epochs: 1,
    views: 1,
    batchSize: 4,
    cache: 'none',
    out,
  };
  await trainRun(await sharedGpu(), applySettings(defaultSettings(), settings, 'test'), {
    resume: false,
    reporter: silent,
  });
}
