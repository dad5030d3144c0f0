import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { imageFormat } from '../src/data/images/format.ts';
import { type ImageJob, ImageLoader, type LoadedImage } from '../src/data/images/loader.ts';
import { PixelBudget } from '../src/data/images/pixel-budget.ts';
import { prepareImage } from '../src/data/images/prepare.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('hostile-images');
afterEach(() => {
  delete process.env.CLIP_AGIQA_LIMITS;
});
const place = (name: string) => join(folder, name);
const job = (path: string): ImageJob => ({ path, size: 8, transform: { kind: 'test' } });
const errorOf = async (path: string) => {
  const prepared = await prepareImage(job(path));
  return 'error' in prepared ? prepared.error : undefined;
};
const posix = it.skipIf(process.platform === 'win32');

describe('only regular files are read as images', () => {
  it('a folder is none', async () => {
    mkdirSync(place('folder.png'));
    expect(await errorOf(place('folder.png'))).toBe(`${place('folder.png')}: is not a regular file`);
  });

  posix('a pipe, a device and a socket are none, and nobody waits for them', async () => {
    execFileSync('mkfifo', [place('pipe.png')]);
    symlinkSync('/dev/zero', place('endless.png'));
    const server = createServer().listen(place('socket.png'));
    await new Promise((listening) => server.once('listening', listening));
    for (const name of ['pipe.png', 'endless.png', 'socket.png'])
      expect(await errorOf(place(name))).toBe(`${place(name)}: is not a regular file`);
    server.close();
  });

  posix('a link that leads to itself is an unreadable one', async () => {
    symlinkSync('loop.png', place('loop.png'));
    expect(await errorOf(place('loop.png'))).toMatch(/loop\.png: cannot be read \(ELOOP\)/);
  });

  it('a huge one is refused by its size', async () => {
    writeFileSync(place('huge.png'), '');
    truncateSync(place('huge.png'), 2 ** 30);
    expect(await errorOf(place('huge.png'))).toMatch(
      /huge\.png: has 1,073,741,824 bytes, more than the limit of 268,435,456/,
    );
  });
});

describe('the content decides the format', () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
  it.each([
    ['an HTML page', `<html>${svg}</html>`],
    ['SVG, compressed', Buffer.from('H4sIAAAAAAAAA7Mp', 'base64')],
    ['BMP', Buffer.from('BM\x9a\x00\x00\x00\x00\x00\x00\x00')],
    ['PDF', '%PDF-1.7'],
    ['PPM', 'P6 1 1 255 abc'],
    ['nothing', ''],
  ])('%s is refused before a decoder sees it, whatever its name', async (_, bytes) => {
    writeFileSync(place('named.png'), bytes);
    expect(await errorOf(place('named.png'))).toBe(
      `${place('named.png')}: not a readable image (its content is in none of the supported formats)`,
    );
  });

  it.each([
    ['HEIC', '\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1'],
    ['HEIC', '\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic'],
    ['JPEG XL', '\xff\x0a\x7f'],
    ['JPEG XL', '\x00\x00\x00\x0cJXL \r\n\x87\n'],
    ['JPEG 2000', '\x00\x00\x00\x0cjP  \r\n\x87\n'],
    ['JPEG 2000', '\xff\x4f\xff\x51\x00'],
    ['SVG', svg],
    ['SVG', `\n  ${svg}`],
    ['SVG', `<?xml version="1.0"?><!-- drawn --> ${svg}`],
  ])('%s is refused by its name, before a decoder sees it', async (format, text) => {
    writeFileSync(place('named.png'), Buffer.from(text, 'latin1'));
    expect(await errorOf(place('named.png'))).toBe(
      `${place('named.png')}: not a readable image (${format} is not supported; convert it to PNG)`,
    );
  });

  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)('%s is known', async (format) => {
    const bytes = await sharp({ create: { width: 16, height: 16, channels: 3, background: 'red' } })
      .toFormat(format)
      .toBuffer();
    expect(imageFormat(bytes)).toBe(format);
    writeFileSync(place('image.txt'), bytes);
    expect(await errorOf(place('image.txt'))).toBeUndefined();
  });
});

describe('an image of too many pixels', () => {
  /** A header, and no more: it is not read further. */
  const header = (side: number) => {
    const chunk = Buffer.alloc(8 + 13 + 4);
    chunk.writeUInt32BE(13);
    chunk.write('IHDR', 4);
    chunk.writeUInt32BE(side, 8);
    chunk.writeUInt32BE(side, 12);
    chunk.writeUInt8(8, 16);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, 21)), 21);
    const end = Buffer.from('0000000049454e44ae426082', 'hex');
    const data = Buffer.from('0000000c4944415408d763f8cfc0000003010100', 'hex');
    return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk, data, end]);
  };

  it('is refused before it is decoded, by size and limit', async () => {
    writeFileSync(place('bomb.png'), header(16_000));
    const before = process.memoryUsage().rss;
    expect(await errorOf(place('bomb.png'))).toBe(
      `${place('bomb.png')}: is 16,000 x 16,000 pixels, more than the limit of 67,108,864 (imagePixels in CLIP_AGIQA_LIMITS)`,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
  });

  it('is one of more than the limit that was set', async () => {
    const image = (width: number) =>
      sharp({ create: { width, height: 10, channels: 3, background: 'gray' } })
        .png()
        .toFile(place(`${width}.png`));
    await Promise.all([image(10), image(11)]);
    process.env.CLIP_AGIQA_LIMITS = 'imagePixels=100';
    expect(await errorOf(place('10.png'))).toBeUndefined();
    expect(await errorOf(place('11.png'))).toMatch(/is 11 x 10 pixels, more than the limit of 100 /);
  });
});

describe('PixelBudget', () => {
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const mega = 2 ** 20;

  it('admits in order, never more than the budget, and one beyond it alone', async () => {
    process.env.CLIP_AGIQA_LIMITS = `pixelsAtOnce=${10 * mega}`;
    const budget = new PixelBudget();
    const admitted: number[] = [];
    const releases = new Map<number, () => void>();
    const ask = (k: number, megapixels: number) =>
      void budget.admit(megapixels * mega).then((release) => {
        admitted.push(k);
        releases.set(k, release);
        expect(budget.used).toBeLessThanOrEqual(10 * mega);
      });
    for (const [k, megapixels] of [6, 4, 2, 3, 50, 2].entries()) ask(k, megapixels);
    await settled();
    expect(admitted).toEqual([0, 1]);
    releases.get(1)!();
    await settled();
    expect(admitted).toEqual([0, 1, 2]); // 3 does not fit, and 5 does not overtake it
    releases.get(0)!();
    releases.get(0)!(); // a second time does nothing
    await settled();
    expect(admitted).toEqual([0, 1, 2, 3]);
    releases.get(2)!();
    await settled();
    expect(admitted).toEqual([0, 1, 2, 3]);
    releases.get(3)!();
    await settled();
    expect(admitted).toEqual([0, 1, 2, 3, 4]);
    releases.get(4)!();
    await settled();
    expect(admitted).toEqual([0, 1, 2, 3, 4, 5]);
    releases.get(5)!();
    expect(budget.used).toBe(0);
  });

  it('lets go of who no longer waits', async () => {
    process.env.CLIP_AGIQA_LIMITS = `pixelsAtOnce=${10 * mega}`;
    const budget = new PixelBudget();
    const first = await budget.admit(10 * mega);
    const leaving = new AbortController();
    const second = budget.admit(10 * mega, leaving.signal);
    const third = budget.admit(10 * mega);
    leaving.abort();
    (await second)();
    first();
    (await third)();
    expect(budget.used).toBe(0);
  });
});

describe('ImageLoader', () => {
  /** A thread that does as a file's path says; an image's hash is when it was decoded. */
  const thread = (name: string) => {
    const file = place(name);
    writeFileSync(
      file,
      `import { parentPort, workerData } from 'node:worker_threads';
       const now = () => performance.timeOrigin + performance.now();
       const decode = (id, time = 40) => {
         const began = now();
         const done = () => ({ kind: 'done', id, images: [{ pixels: new Uint8Array(1), hash: began + ' ' + now() }], times: { read: 0, decode: 0 } });
         setTimeout(() => parentPort.postMessage(done()), time);
       };
       parentPort.on('message', ({ id, jobs }) => {
         const path = jobs?.[0].path;
         if (!path) decode(id);
         else if (path === 'ends') process.exit(5);
         else if (path === 'ends late') setTimeout(() => process.exit(5), 400);
         else if (path === 'slow') decode(id, 600);
         else if (path === 'throws') throw new Error('no decoder');
         else if (path === 'hangs') for (;;);
         else if (path.startsWith('large')) parentPort.postMessage({ kind: 'ask', id, pixels: 3 * 2 ** 20 });
         else decode(id);
       });
       Atomics.store(workerData.began, 0, 1);
       parentPort.postMessage({ kind: 'ready' });`,
    );
    return pathToFileURL(file);
  };

  async function load(loader: ImageLoader, paths: readonly string[]): Promise<LoadedImage[]> {
    const all: LoadedImage[] = [];
    for await (const image of loader.load(paths.map(job))) all.push(image);
    return all;
  }

  it('loses a row, not the run, to an image whose decoder ends, fails or hangs', async () => {
    const loader = new ImageLoader({ workers: 2, workerFile: thread('bad.mjs'), timeoutMs: 300 });
    const paths = ['a', 'ends', 'b', 'throws', 'c', 'd', 'hangs', 'e', 'f', 'g', 'ends', 'h'];
    const loaded = await load(loader, paths);
    expect(loaded.map(({ index }) => index)).toEqual(paths.map((_, i) => i));
    expect(loaded.flatMap((image) => ('error' in image ? [[image.path, image.error]] : []))).toEqual([
      ['ends', 'ends: cannot be decoded (a decoding thread exited (exit code 5))'],
      ['throws', 'throws: cannot be decoded (a decoding thread failed: no decoder)'],
      ['hangs', 'hangs: cannot be decoded (a decoding thread did not respond for 0.3 s)'],
      ['ends', 'ends: cannot be decoded (a decoding thread exited (exit code 5))'],
    ]);
    expect((await load(loader, ['a', 'b'])).every((image) => 'pixels' in image)).toBe(true);
    await loader.close();
  });

  it('blames no image for another that is tried again', async () => {
    const loader = new ImageLoader({ workers: 2, workerFile: thread('late.mjs') });
    // The first two threads have 'slow' and 'ends', 'ends late' and 'quick'.
    const loaded = await load(loader, ['slow', 'ends late', 'ends', 'quick', 'a', 'b']);
    await loader.close();
    expect(loaded.map((image) => 'error' in image)).toEqual([false, true, true, false, false, false]);
  });

  it('decodes no more pixels at once than the budget, over all threads', async () => {
    process.env.CLIP_AGIQA_LIMITS = `pixelsAtOnce=${7 * 2 ** 20}`;
    // The timeout is shorter than the waiting, which does not count.
    const loader = new ImageLoader({ workers: 3, workerFile: thread('large.mjs'), timeoutMs: 400 });
    const loaded = await load(
      loader,
      Array.from({ length: 24 }, (_, i) => `large ${i}`),
    );
    await loader.close();
    const spans = loaded.map((image) => ('pixels' in image ? image.hash!.split(' ').map(Number) : []));
    for (const [began] of spans) {
      const atOnce = spans.filter(([from, to]) => from! <= began! && began! < to!).length;
      expect(atOnce).toBeLessThanOrEqual(2);
    }
    expect(spans.every(([from, to]) => to! > from!)).toBe(true);
  });

  it('gives the same pixels where an image waits for its turn', async () => {
    const path = place('middling.png');
    await sharp({ create: { width: 1200, height: 1000, channels: 3, background: 'teal' } })
      .png()
      .toFile(path);
    const alone = await prepareImage(job(path));
    const copies = Array.from({ length: 5 }, (_, i) => place(`middling-${i}.png`));
    for (const copy of copies) copyFileSync(path, copy);
    process.env.CLIP_AGIQA_LIMITS = 'pixelsAtOnce=1000000';
    for (const workers of [0, 2]) {
      const loader = new ImageLoader({ workers });
      for (const image of await load(loader, copies)) expect(image).toMatchObject(alone);
      await loader.close();
    }
  });
});
