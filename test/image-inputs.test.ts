import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImageInput, type ImageInputs, preprocess, type ScoredImage, Scorer } from '../src/index.ts';
import { sharedGpu } from './gpu.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('image-inputs');
let scorer: Scorer;
let images: string[];
let expected: number[];

beforeAll(async () => {
  images = await drawImages(join(folder, 'images'), 5);
  scorer = await Scorer.load(
    await sharedGpu(),
    await writeModel(join(folder, 'model.safetensors'), 'embedded'),
  );
  expected = (await all(images)).map(scoreOf);
});
afterAll(() => scorer.close());

async function all(inputs: ImageInputs): Promise<ScoredImage[]> {
  const results: ScoredImage[] = [];
  for await (const result of scorer.score(inputs)) results.push(result);
  return results;
}
const scoreOf = (result: ScoredImage) => ('score' in result ? result.score : Number.NaN);
const errorOf = (result: ScoredImage | undefined) => (result && 'error' in result ? result.error : '');

async function raw(path: string, alpha = false) {
  const image = alpha ? sharp(path).ensureAlpha(0.5) : sharp(path).removeAlpha();
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { data, ...info };
}

describe('an image that is in no file', () => {
  it('has the score of the file of the same bytes, however it is given', async () => {
    const buffers = await Promise.all(images.map((path) => readFile(path)));
    expect(new Set(expected).size).toBe(images.length);
    // In the midst of a larger one, as small ones of Node's are.
    const within = buffers.map((bytes) =>
      Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(9)]).subarray(7, 7 + bytes.length),
    );
    const kinds: Record<string, readonly ImageInput[]> = {
      buffers,
      within,
      arrayBuffers: buffers.map((bytes) => new Uint8Array(bytes).buffer),
      blobs: buffers.map((bytes) => new Blob([new Uint8Array(bytes)])),
      urls: images.map((path) => pathToFileURL(path)),
      rgb: await Promise.all(images.map((path) => raw(path))),
      rgba: await Promise.all(images.map((path) => raw(path, true))),
      named: buffers.map((image) => ({ name: 'all of one name', image })),
    };
    for (const [kind, inputs] of Object.entries(kinds))
      expect((await all(inputs)).map(scoreOf), kind).toEqual(expected);
    // They are still the caller's.
    expect(buffers[0]!.length).toBeGreaterThan(0);
    expect(within[0]).toEqual(buffers[0]);
  });

  it('is called by its place or by the name it was given, in results and errors, and the others go on', async () => {
    const bytes = await readFile(images[0]!);
    const pixels = await raw(images[1]!);
    const results = await all([
      bytes,
      bytes.subarray(0, 60),
      { name: 'half of it', image: bytes.subarray(0, bytes.length / 2) },
      { ...pixels, width: pixels.width + 1 },
      { ...pixels, channels: 5 },
      { ...pixels, data: [1, 2, 3] as unknown as Uint8Array },
      { name: 'second', image: images[1]! },
    ]);
    expect(results.map(({ path }) => path)).toEqual([
      'image 1',
      'image 2',
      'half of it',
      'image 4',
      'image 5',
      'image 6',
      'second',
    ]);
    expect([scoreOf(results[0]!), scoreOf(results[6]!)]).toEqual(expected.slice(0, 2));
    expect(errorOf(results[1])).toMatch(/^image 2: not a readable image/);
    expect(errorOf(results[2])).toMatch(/^half of it: not a readable image/);
    expect(errorOf(results[3])).toMatch(
      /^image 4: has \d+ bytes where \d+ x \d+ pixels of 3 channels take \d+$/,
    );
    expect(errorOf(results[4])).toMatch(/^image 5: .* 5 channels/);
    expect(errorOf(results[5])).toBe('image 6: its data are not bytes');
  });

  it('is under the limits of files', async () => {
    const side = 1e5;
    const huge = await sharp({ create: { width: 300, height: 300, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const bytes = Buffer.from(huge);
    // IHDR says a side of a million; its checksum is not looked at before the size is.
    bytes.writeUInt32BE(1e6, 16);
    bytes.writeUInt32BE(1e6, 20);
    const results = await all([
      { data: new Uint8Array(3), width: side, height: side, channels: 3 },
      { name: 'a bomb', image: bytes },
      images[0]!,
    ]);
    expect(errorOf(results[0])).toMatch(/^image 1: is 100,000 x 100,000 pixels, more than the limit/);
    expect(errorOf(results[1])).toMatch(/^a bomb: /);
    expect(scoreOf(results[2]!)).toBe(expected[0]);
    process.env.CLIP_AGIQA_LIMITS = 'imageBytes=1000';
    try {
      await expect(preprocess(huge.length > 1000 ? huge : Buffer.alloc(1001))).rejects.toThrow(
        /^image 1: has [\d,]+ bytes, more than the limit of 1,000/,
      );
    } finally {
      delete process.env.CLIP_AGIQA_LIMITS;
    }
  });

  it('is refused where it is none at all', async () => {
    const wrong = (value: unknown) => all(value as ImageInputs);
    await expect(wrong([images[0], undefined])).rejects.toThrow(
      'image 2: a value of type undefined is no image',
    );
    await expect(wrong([sharp(images[0]!)])).rejects.toMatchObject({
      message: 'image 1: a sharp instance is no image',
      advice: expect.stringContaining('.raw().toBuffer({ resolveWithObject: true })'),
    });
    await expect(wrong('a.png')).rejects.toThrow('images are given as an array or an async iterable');
  });

  it('has its own score where a server scores several at a time', async () => {
    const buffers = await Promise.all(images.map((path) => readFile(path)));
    const requests = Array.from({ length: 20 }, (_, i) => [i, i + 1, 3 * i].map((k) => k % images.length));
    const scores = await Promise.all(
      requests.map(async (request) => (await all(request.map((k) => buffers[k]!))).map(scoreOf)),
    );
    expect(scores).toEqual(requests.map((request) => request.map((k) => expected[k])));
  });

  it('comes from an async iterable, and is scored while the next is waited for', async () => {
    const seen: number[] = [];
    async function* source(): AsyncGenerator<ImageInput> {
      for (const [i, path] of images.entries()) {
        // The third is only made once the first two have been scored.
        while (i === 2 && seen.length < 2) await new Promise((go) => setTimeout(go, 5));
        yield path;
      }
    }
    for await (const result of scorer.score(source())) {
      expect(result.index).toBe(seen.length);
      seen.push(scoreOf(result));
    }
    expect(seen).toEqual(expected);
  });

  it('is preprocessed as the models see it', async () => {
    const size = 32;
    const pixels = await preprocess(images[0]!, { size });
    expect(pixels.length).toBe(size * size * 3);
    expect(await preprocess(await readFile(images[0]!), { size })).toEqual(pixels);
    await expect(preprocess('nowhere.png')).rejects.toThrow(/^nowhere\.png/);
  });
});
