import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoadedPicture, type PictureJob, PictureLoader } from '../src/data/images/loader.ts';
import { hashPicture, preparePicture } from '../src/data/images/prepare.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/preprocess/${name}`, import.meta.url));
const pictures = ['rgb_100x60.png', 'palette.png', 'gray.png', 'rgb_224x224.jpg'].map(fixture);

/** The worker is bundled for the test alone, inside node_modules, from where it finds its packages. */
const workerFolder = fileURLToPath(
  new URL(`../node_modules/.cache/loader-test-${process.pid}/`, import.meta.url),
);
const workerFile = pathToFileURL(join(workerFolder, 'picture-worker.mjs'));
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'loader-'));
  writeFileSync(join(scratch, 'broken.jpg'), readFileSync(pictures[3]).subarray(0, 9000));
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
  rmSync(scratch, { recursive: true, force: true });
  rmSync(workerFolder, { recursive: true, force: true });
});

function job(index: number, path = pictures[index % pictures.length]): PictureJob {
  return { path, size: 32, transform: { kind: 'crop', seed: 1, epoch: 0, index } };
}

async function collect(loader: PictureLoader, jobs: Iterable<PictureJob>): Promise<LoadedPicture[]> {
  const all: LoadedPicture[] = [];
  for await (const picture of loader.load(jobs)) all.push(picture);
  return all;
}

describe.each([0, 2])('PictureLoader with %d workers', (workers) => {
  it('gives every picture in order, with the hash of its file', async () => {
    const loader = new PictureLoader({ workers, ahead: 5, workerFile });
    const jobs = Array.from({ length: 23 }, (_, i) => job(i));
    const loaded = await collect(loader, jobs);
    expect(loaded.map(({ index }) => index)).toEqual(jobs.map((_, i) => i));
    for (const [i, picture] of loaded.entries()) {
      const alone = await preparePicture(jobs[i]);
      expect(picture).toEqual({ index: i, ...alone });
    }
    await loader.close();
  });

  it('passes over what cannot be read', async () => {
    const loader = new PictureLoader({ workers, workerFile });
    const broken = join(scratch, 'broken.jpg');
    const gone = join(scratch, 'gone.png');
    const outside: PictureJob = {
      path: pictures[0],
      size: 8,
      transform: { kind: 'box', box: [90, 0, 20, 20], flip: false },
    };
    const loaded = await collect(loader, [job(0), job(1, broken), job(2, gone), outside, job(3)]);
    expect(loaded.map((picture) => 'error' in picture)).toEqual([false, true, true, true, false]);
    expect(loaded[1]).toMatchObject({
      index: 1,
      path: broken,
      error: expect.stringContaining(`${broken}: `),
    });
    expect(loaded[2]).toMatchObject({ error: expect.stringMatching(/ENOENT/) });
    expect(loaded[3]).toMatchObject({ error: expect.stringMatching(/100x60/) });
    await loader.close();
  });

  it('draws no more jobs than it may be ahead', async () => {
    const loader = new PictureLoader({ workers, ahead: 4, workerFile });
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

  it('refuses work once closed', async () => {
    const loader = new PictureLoader({ workers, workerFile });
    const iterator = loader.load(Array.from({ length: 50 }, (_, i) => job(i)));
    await iterator.next();
    await loader.close();
    await expect(collect(loader, [job(0)])).rejects.toThrow(/closed/);
  });
});

describe('PictureLoader', () => {
  it('reports a thread that dies instead of waiting for it', async () => {
    const file = join(scratch, 'dying.mjs');
    writeFileSync(file, 'process.exit(3);');
    const loader = new PictureLoader({ workers: 1, workerFile: pathToFileURL(file) });
    await expect(collect(loader, [job(0)])).rejects.toThrow(/exit code 3/);
    await expect(collect(loader, [job(0)])).rejects.toThrow(/exit code 3/);
    await loader.close();
  });
});

describe('hashPicture', () => {
  it('is the SHA-256 of the file', async () => {
    const want = createHash('sha256').update(readFileSync(pictures[0])).digest('hex');
    expect(await hashPicture(pictures[0])).toBe(want);
  });
});
