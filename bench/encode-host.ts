/** What encoding images takes of the host: processor time to prepare one, and the rate of everything but the device. */

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Tensor } from '../src/autograd/tensor.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { type ImageJob, prepareImage } from '../src/data/images/prepare.ts';
import { ImageEncoder } from '../src/features/image-encoder.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { generatedClip } from './model.ts';

/** The host's part of encoding. */
export interface EncodeHost {
  /** Processor milliseconds to read, decode and resize a JPEG of so many pixels a side, by the test transform. */
  readonly prepare: readonly { readonly pixels: number; readonly milliseconds: number }[];
  /**
   * JPEGs of 512 pixels a side through the whole of encoding on a device that computes nothing, by processor time: how many one core
   * brings to a device in a second.
   */
  readonly imagesPerSecondOfACore: number;
}

const sides = [512, 1024];
const batch = 8;

/** Processor milliseconds that this process, its threads included, spends on `work`. */
async function processorTime(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Scenes as JPEGs of each of {@link sides}, quality 90. */
async function drawJpegs(folder: string, count: number): Promise<readonly (readonly string[])[]> {
  const drawn = join(folder, 'drawn');
  await makeScenes(drawn, { scenes: Math.ceil(count / 4), versions: 4, size: 512, seed: 2 });
  const names = (await readdir(drawn, { recursive: true })).filter((name) =>
    /\.(png|jpe?g|webp)$/.test(name),
  );
  return Promise.all(
    sides.map((side) =>
      Promise.all(
        names.slice(0, count).map(async (name, i) => {
          const path = join(folder, `${side}-${i}.jpg`);
          await writeFile(
            path,
            await sharp(join(drawn, name)).resize(side, side).jpeg({ quality: 90 }).toBuffer(),
          );
          return path;
        }),
      ),
    ),
  );
}

export async function measureEncodeHost(quick: boolean): Promise<EncodeHost> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-encode-host-'));
  const count = quick ? batch : 6 * batch;
  try {
    const files = await drawJpegs(folder, count);
    const jobOf = (path: string) => ({ path, size: 224, transform: { kind: 'test' as const } });
    const prepare: { pixels: number; milliseconds: number }[] = [];
    for (const [i, paths] of files.entries()) {
      const all = async () => {
        for (const path of paths) await prepareImage(jobOf(path));
      };
      await all(); // compiles
      let least = Number.POSITIVE_INFINITY;
      for (let round = 0; round < (quick ? 1 : 5); round++) least = Math.min(least, await processorTime(all));
      prepare.push({ pixels: sides[i]!, milliseconds: least / paths.length });
    }
    return { prepare, imagesPerSecondOfACore: await rateOfHost(files[0]!.map(jobOf), quick) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function rateOfHost(jobs: readonly ImageJob[], quick: boolean): Promise<number> {
  const gpu = await openGpu({ backend: 'null' });
  try {
    const clip = await generatedClip(gpu, { text: false });
    const { vision } = clip;
    // What a device that computes nothing leaves in memory may be no number.
    const zeros = new Float32Array(batch * vision.featureWidth);
    const encoder = {
      width: vision.featureWidth,
      id: 'bench',
      encode: (patches: Tensor) => {
        vision.features(patches).dispose();
        return Tensor.from(gpu, zeros, [batch, vision.featureWidth]);
      },
    };
    const images = new ImageEncoder(gpu, vision, encoder, { batch, cache: null, tune: 'never' });
    const all = async () => {
      for await (const result of images.encode(jobs)) if ('error' in result) throw new Error(result.error);
    };
    await all(); // starts the threads, and compiles
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < (quick ? 1 : 5); round++) least = Math.min(least, await processorTime(all));
    await images.close();
    clip.dispose();
    return (1000 * jobs.length) / least;
  } finally {
    gpu.close();
  }
}
