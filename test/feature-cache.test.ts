import { mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { FeatureCache } from '../src/data/feature-cache.ts';

const width = 5;
const recordBytes = 32 + 4 + 4 * width;
const newFolder = () => join(mkdtempSync(join(tmpdir(), 'feature-cache-')), 'cache');
const vector = (k: number) => Float32Array.from({ length: width }, (_, i) => k + i / 3);

async function filled(folder: string, keys: readonly number[]): Promise<void> {
  const cache = await FeatureCache.open(folder, { width });
  for (const k of keys) cache.put(`picture ${k}`, vector(k));
  await cache.close();
}

async function read(folder: string, keys: readonly number[], options = { width }) {
  const cache = await FeatureCache.open(folder, options);
  const found = await cache.get(keys.map((k) => `picture ${k}`));
  await cache.close();
  return found;
}

const segments = (folder: string) => readdirSync(folder).map((name) => join(folder, name));

describe('FeatureCache', () => {
  it('gives back what was put, in the order asked for, now and after reopening', async () => {
    const folder = newFolder();
    const cache = await FeatureCache.open(folder, { width });
    expect(cache.size).toBe(0);
    cache.put('picture 1', vector(1));
    cache.put('picture 2', vector(2));
    await cache.flush();
    cache.put('picture 3', vector(3));
    await cache.flush();
    expect(cache.size).toBe(3);
    const keys = ['picture 3', 'none', 'picture 1', 'picture 3'];
    expect(await cache.get(keys)).toEqual([vector(3), undefined, vector(1), vector(3)]);
    await cache.close();
    expect(segments(folder).length).toBe(1);
    expect(await read(folder, [2, 4, 3])).toEqual([vector(2), undefined, vector(3)]);
    expect(segments(folder).length).toBe(1); // reading makes no file
  });

  it('copies what is put, so that the caller may reuse its array', async () => {
    const folder = newFolder();
    const cache = await FeatureCache.open(folder, { width });
    const shared = vector(1);
    cache.put('picture 1', shared);
    shared.fill(0);
    await cache.flush();
    expect(await cache.get(['picture 1'])).toEqual([vector(1)]);
    await cache.close();
  });

  it('writes one flush after another, however many are under way', async () => {
    const folder = newFolder();
    const cache = await FeatureCache.open(folder, { width });
    const flushes: Promise<void>[] = [];
    for (let k = 0; k < 20; k++) {
      cache.put(`picture ${k}`, vector(k));
      flushes.push(cache.flush());
    }
    await Promise.all(flushes);
    const keys = Array.from({ length: 20 }, (_, k) => k);
    expect(await cache.get(keys.map((k) => `picture ${k}`))).toEqual(keys.map(vector));
    await cache.close();
    expect(segments(folder).length).toBe(1);
    expect(await read(folder, keys)).toEqual(keys.map(vector));
  });

  it('lets two writers share a folder', async () => {
    const folder = newFolder();
    const [a, b] = await Promise.all([
      FeatureCache.open(folder, { width }),
      FeatureCache.open(folder, { width }),
    ]);
    for (let k = 0; k < 50; k++) {
      (k % 2 ? a : b).put(`picture ${k}`, vector(k));
      if (k % 10 > 7) await Promise.all([a.flush(), b.flush()]);
    }
    await Promise.all([a.close(), b.close()]);
    expect(segments(folder).length).toBe(2);
    const keys = Array.from({ length: 50 }, (_, k) => k);
    expect(await read(folder, keys)).toEqual(keys.map(vector));
  });

  it('loses only the torn record of a segment cut anywhere', async () => {
    for (const cut of [1, recordBytes - 1, recordBytes, 2 * recordBytes + 7]) {
      const folder = newFolder();
      await filled(folder, [1, 2, 3]);
      truncateSync(segments(folder)[0]!, 3 * recordBytes - cut);
      const whole = Math.floor((3 * recordBytes - cut) / recordBytes);
      expect(await read(folder, [1, 2, 3])).toEqual(
        [1, 2, 3].map((k) => (k <= whole ? vector(k) : undefined)),
      );
      await filled(folder, [3]); // and a later run mends it
      expect((await read(folder, [3]))[0]).toEqual(vector(3));
    }
  });

  it('takes a record with any byte damaged for absent', async () => {
    const folder = newFolder();
    await filled(folder, [1, 2, 3]);
    const [path] = segments(folder);
    const bytes = readFileSync(path!);
    for (let at = recordBytes; at < 2 * recordBytes; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x40;
      writeFileSync(path!, damaged);
      expect(await read(folder, [1, 2, 3])).toEqual([vector(1), undefined, vector(3)]);
    }
  });

  it('keeps widths and storages apart', async () => {
    const folder = newFolder();
    await filled(folder, [1]);
    expect(await read(folder, [1], { width: width + 1 })).toEqual([undefined]);
    const half = await FeatureCache.open(folder, { width, type: 'float16' });
    expect(await half.get(['picture 1'])).toEqual([undefined]);
    half.put('picture 1', vector(1));
    await half.flush();
    const [found] = await half.get(['picture 1']);
    for (const [i, value] of vector(1).entries())
      expect(Math.abs(found![i]! - value) / value).toBeLessThan(2 ** -11);
    await half.close();
    expect(await read(folder, [1])).toEqual([vector(1)]);
    expect(() => half.put('picture 2', new Float32Array(width + 1))).toThrow();
  });

  it('says which folder cannot be used', async () => {
    const folder = newFolder();
    writeFileSync(folder, 'a file');
    await expect(FeatureCache.open(folder, { width })).rejects.toThrow(UserError);
    await expect(FeatureCache.open(folder, { width })).rejects.toThrow(/the feature cache cannot be used/);
  });
});
