import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  decodeThreadsVariable,
  type ImageJob,
  ImageLoader,
  type LoadedImage,
} from '../src/data/images/loader.ts';
import { hashImage, prepareImage } from '../src/data/images/prepare.ts';
import { temporaryFolder } from './temporary-folder.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/preprocess/${name}`, import.meta.url));
const images = ['rgb_100x60.png', 'palette.png', 'gray.png', 'rgb_224x224.jpg'].map(fixture);

/** The worker is bundled for the test alone, inside node_modules, from where it finds its packages. */
const workerFolder = fileURLToPath(
  new URL(`../node_modules/.cache/loader-test-${process.pid}/`, import.meta.url),
);
const workerFile = pathToFileURL(join(workerFolder, 'image-worker.mjs'));
const scratch = temporaryFolder('loader');

beforeAll(async () => {
  writeFileSync(join(scratch, 'broken.jpg'), readFileSync(images[3]!).subarray(0, 9000));
  await build({
    entryPoints: [fileURLToPath(new URL('../src/data/images/worker.ts', import.meta.url))],
    outfile: fileURLToPath(workerFile),
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  });
});
afterAll(() => {
  rmSync(workerFolder, { recursive: true, force: true });
});

function job(index: number, path = images[index % images.length]!): ImageJob {
  return { path, size: 32, transform: { kind: 'crop', seed: 1, epoch: 0, index } };
}

async function collect(loader: ImageLoader, jobs: Iterable<ImageJob>): Promise<LoadedImage[]> {
  const all: LoadedImage[] = [];
  for await (const image of loader.load(jobs)) all.push(image);
  return all;
}

describe.each([0, 2])('ImageLoader with %d workers', (workers) => {
  it('gives every image in order', async () => {
    const loader = new ImageLoader({ workers, ahead: 5, workerFile });
    const jobs = Array.from({ length: 23 }, (_, i) => job(i));
    const loaded = await collect(loader, jobs);
    expect(loaded.map(({ index }) => index)).toEqual(jobs.map((_, i) => i));
    for (const [i, image] of loaded.entries()) {
      const alone = await prepareImage(jobs[i]!);
      expect(image).toEqual({ index: i, ...alone });
    }
    await loader.close();
  });

  it('passes over what cannot be read', async () => {
    const loader = new ImageLoader({ workers, workerFile });
    const broken = join(scratch, 'broken.jpg');
    const gone = join(scratch, 'gone.png');
    const outside: ImageJob = {
      path: images[0]!,
      size: 8,
      transform: { kind: 'box', box: [90, 0, 20, 20], flip: false },
    };
    const loaded = await collect(loader, [job(0), job(1, broken), job(2, gone), outside, job(3)]);
    expect(loaded.map((image) => 'error' in image)).toEqual([false, true, true, true, false]);
    expect(loaded[1]).toMatchObject({
      index: 1,
      path: broken,
      error: expect.stringContaining(`${broken}: `),
    });
    expect(loaded[2]).toMatchObject({ error: expect.stringMatching(/ENOENT/) });
    expect(loaded[3]).toMatchObject({ error: expect.stringMatching(/100x60/) });
    await loader.close();
  });

  it('reads a file that consecutive jobs name once, and asks once which of them are wanted', async () => {
    const loader = new ImageLoader({ workers, ahead: 16, workerFile });
    const crop = (index: number, path: string): ImageJob => ({ ...job(index), path });
    const [a, b] = [join(scratch, `once-a-${workers}.png`), images[2]!];
    copyFileSync(images[0]!, a);
    const jobs = [...[0, 1, 2, 3, 4, 5].map((i) => crop(i, a)), crop(6, b), crop(7, images[1]!), crop(8, b)];
    const asked: string[] = [];
    const wanted = ({ path, transform }: ImageJob, hash: string) => {
      asked.push(hash);
      // Whoever reads it again finds nothing.
      if (path === a) rmSync(a, { force: true });
      return transform.kind === 'crop' && ![1, 2, 6].includes(transform.index);
    };
    const loaded: object[] = [];
    for await (const image of loader.load(jobs, wanted)) loaded.push(image);
    copyFileSync(images[0]!, a);
    const hashes = await Promise.all(jobs.map(({ path }) => hashImage(path)));
    expect(asked.sort()).toEqual(hashes.toSorted());
    for (const [index, image] of loaded.entries()) {
      const hash = hashes[index]!;
      if ([1, 2, 6].includes(index)) expect(image).toEqual({ index, known: hash });
      else expect(image).toEqual({ index, ...(await prepareImage(jobs[index]!)), hash });
    }
    await loader.close();
  });

  it('draws no more jobs than it may be ahead', async () => {
    const loader = new ImageLoader({ workers, ahead: 4, workerFile });
    let drawn = 0;
    function* endless() {
      for (;;) yield job(drawn++);
    }
    let taken = 0;
    for await (const _ of loader.load(endless())) {
      taken++;
      expect(drawn - taken).toBeLessThanOrEqual(4);
      if (taken === 12) break;
    }
    expect(drawn).toBeLessThanOrEqual(16);
    expect((await collect(loader, [job(3)])).length).toBe(1);
    await loader.close();
  });

  it('has as many threads as the environment says, and adds up what they took', async () => {
    vi.stubEnv(decodeThreadsVariable, '3');
    let threads = 0;
    const count = () => void threads++;
    process.on('worker', count);
    try {
      for (const workers of [undefined, 0]) {
        const loader = new ImageLoader({ workerFile, ...(workers === undefined ? {} : { workers }) });
        await collect(
          loader,
          [0, 1, 2, 3].map((i) => job(i)),
        );
        expect(loader.times.read).toBeGreaterThan(0);
        expect(loader.times.decode).toBeGreaterThan(0);
        await loader.close();
      }
      expect(threads).toBe(3);
      vi.stubEnv(decodeThreadsVariable, '0');
      expect(() => new ImageLoader()).toThrow(/CLIP_AGIQA_DECODE_THREADS is 0, not a number of threads/);
    } finally {
      process.off('worker', count);
      vi.unstubAllEnvs();
    }
  });

  it('refuses work once closed', async () => {
    const loader = new ImageLoader({ workers, workerFile });
    const iterator = loader.load(Array.from({ length: 50 }, (_, i) => job(i)));
    await iterator.next();
    await loader.close();
    await expect(collect(loader, [job(0)])).rejects.toThrow(/closed/);
  });
});

describe('ImageLoader', () => {
  it('reports a thread that dies instead of waiting for it', async () => {
    const file = join(scratch, 'dying.mjs');
    writeFileSync(file, 'process.exit(3);');
    const loader = new ImageLoader({ workers: 1, workerFile: pathToFileURL(file) });
    await expect(collect(loader, [job(0)])).rejects.toThrow(/exit code 3/);
    await expect(collect(loader, [job(0)])).rejects.toThrow(/exit code 3/);
    await loader.close();
  });
});

describe('hashImage', () => {
  it('is the SHA-256 of the file', async () => {
    const want = createHash('sha256').update(readFileSync(images[0]!)).digest('hex');
    expect(await hashImage(images[0]!)).toBe(want);
  });
});
