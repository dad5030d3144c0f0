import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guardDisk, TornWrite } from '../src/common/disk.ts';
import { identityText, ownIdentity, type ProcessIdentity } from '../src/common/process-identity.ts';
import { FeatureCache } from '../src/features/feature-cache.ts';
import { temporaryFolder } from './temporary-folder.ts';

const width = 5;
const recordBytes = 32 + 4 + 4 * width;
const folder = temporaryFolder('feature-cache');
const newFolder = () => join(mkdtempSync(join(folder, 'at-')), 'cache');
const vector = (k: number) => Float32Array.from({ length: width }, (_, i) => k + i / 3);

async function filled(folder: string, keys: readonly number[]): Promise<void> {
  const cache = await FeatureCache.open(folder, { width });
  for (const k of keys) cache.put(`image ${k}`, vector(k));
  await cache.close();
}

async function read(folder: string, keys: readonly number[], options = { width }) {
  const cache = await FeatureCache.open(folder, options);
  const found = await cache.get(keys.map((k) => `image ${k}`));
  await cache.close();
  return found;
}

const segments = (folder: string) => readdirSync(folder).map((name) => join(folder, name));

describe('FeatureCache', () => {
  it('gives back what was put, in the order asked for, now and after reopening', async () => {
    const folder = newFolder();
    const cache = await FeatureCache.open(folder, { width });
    expect(cache.size).toBe(0);
    cache.put('image 1', vector(1));
    cache.put('image 2', vector(2));
    await cache.flush();
    cache.put('image 3', vector(3));
    await cache.flush();
    expect(cache.size).toBe(3);
    const keys = ['image 3', 'none', 'image 1', 'image 3'];
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
    cache.put('image 1', shared);
    shared.fill(0);
    await cache.flush();
    expect(await cache.get(['image 1'])).toEqual([vector(1)]);
    await cache.close();
  });

  it('writes one flush after another, however many are under way', async () => {
    const folder = newFolder();
    const cache = await FeatureCache.open(folder, { width });
    const flushes: Promise<void>[] = [];
    for (let k = 0; k < 20; k++) {
      cache.put(`image ${k}`, vector(k));
      flushes.push(cache.flush());
    }
    await Promise.all(flushes);
    const keys = Array.from({ length: 20 }, (_, k) => k);
    expect(await cache.get(keys.map((k) => `image ${k}`))).toEqual(keys.map(vector));
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
      (k % 2 ? a : b).put(`image ${k}`, vector(k));
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
      await filled(folder, [3]); // and a later run repairs it
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
    expect(await half.get(['image 1'])).toEqual([undefined]);
    half.put('image 1', vector(1));
    await half.flush();
    const [found] = await half.get(['image 1']);
    for (const [i, value] of vector(1).entries())
      expect(Math.abs(found![i]! - value) / value).toBeLessThan(2 ** -11);
    await half.close();
    expect(await read(folder, [1])).toEqual([vector(1)]);
    expect(() => half.put('image 2', new Float32Array(width + 1))).toThrow();
  });

  it('gives no vector under another key, even where its file was changed behind its back', async () => {
    const folder = newFolder();
    await filled(folder, [1, 2]);
    const cache = await FeatureCache.open(folder, { width });
    const [path] = segments(folder);
    const bytes = readFileSync(path!);
    // Whole records, each with its right checksum, in each other's places.
    writeFileSync(path!, Buffer.concat([bytes.subarray(recordBytes), bytes.subarray(0, recordBytes)]));
    expect(await cache.get(['image 1', 'image 2'])).toEqual([undefined, undefined]);
    await cache.close();
    expect(await read(folder, [1, 2])).toEqual([vector(1), vector(2)]);
  });
});

const noSpace = () => Object.assign(new Error('full'), { code: 'ENOSPC' });

describe('a cache that the disk refuses', () => {
  it('costs a line where it cannot be opened, and is empty', async () => {
    const folder = newFolder();
    writeFileSync(folder, 'a file');
    const lines: string[] = [];
    const cache = await FeatureCache.open(folder, {
      width,
      type: 'float16',
      warn: (line) => lines.push(line),
    });
    const rounded = cache.put('image 1', vector(1));
    expect(rounded).not.toEqual(vector(1)); // the same bits as with a cache
    await cache.flush();
    expect(await cache.get(['image 1'])).toEqual([undefined]);
    await cache.close();
    expect(lines).toEqual([expect.stringMatching(/^cache {6}cannot be used.*(already exists|is a file)/)]);
    expect(readFileSync(folder, 'utf8')).toBe('a file');
  });

  it('costs a line on a full disk, and keeps what was written before', async () => {
    const folder = newFolder();
    const lines: string[] = [];
    const cache = await FeatureCache.open(folder, { width, warn: (line) => lines.push(line) });
    cache.put('image 1', vector(1));
    await cache.flush();
    const release = guardDisk(({ kind }) => {
      if (kind === 'write') throw new TornWrite(recordBytes + 7, noSpace());
    });
    for (const k of [2, 3]) cache.put(`image ${k}`, vector(k));
    await cache.flush();
    release();
    cache.put('image 4', vector(4)); // it was refused once: it is not tried again
    await cache.close();
    expect(lines).toEqual([expect.stringMatching(/^cache {6}cannot be written.*no space left on the disk/)]);
    // What was torn holds a whole record, which is right.
    expect(await read(folder, [1, 2, 3, 4])).toEqual([vector(1), vector(2), undefined, undefined]);
  });

  it('passes on what is no refusal of the disk', async () => {
    const cache = await FeatureCache.open(newFolder(), { width });
    cache.put('image 1', vector(1));
    const release = guardDisk(() => {
      throw new Error('killed');
    });
    await expect(cache.flush()).rejects.toThrow('killed');
    release();
    await cache.close();
  });
});

it('keeps vectors longer than a page, of which only the keys are read when it is opened', async () => {
  const folder = newFolder();
  const long = { width: 3000 };
  const vectors = [1, 2, 3].map((k) => Float32Array.from({ length: long.width }, (_, i) => k + i));
  const cache = await FeatureCache.open(folder, long);
  for (const [k, values] of vectors.entries()) cache.put(`image ${k}`, values);
  await cache.close();
  truncateSync(segments(folder)[0]!, 3 * (36 + 4 * long.width) - 1);
  const again = await FeatureCache.open(folder, long);
  expect(again.size).toBe(2);
  expect(await again.get(['image 0', 'image 1', 'image 2'])).toEqual([vectors[0], vectors[1], undefined]);
  await again.close();
});

describe('many segments', () => {
  const here = ownIdentity();
  const gone = (k: number) => ({ ...here, boot: k.toString(16).padStart(8, '0') });
  const nameOf = (identity: ProcessIdentity, k: number) =>
    `f32x${width}-${identityText(identity)}-${k.toString(16).padStart(12, '0')}.features`;

  /** A folder with a segment for each key, left by processes that have gone. */
  async function abandoned(keys: readonly number[]): Promise<string> {
    const folder = newFolder();
    mkdirSync(folder);
    for (const k of keys) {
      const alone = newFolder();
      await filled(alone, [k]);
      renameSync(segments(alone)[0]!, join(folder, nameOf(gone(k), k)));
    }
    return folder;
  }
  const upTo = (count: number) => Array.from({ length: count }, (_, k) => k);

  it('are merged into one, and nothing is lost', async () => {
    const keys = upTo(20);
    const folder = await abandoned(keys);
    const kept = [nameOf(here, 100), nameOf({ ...here, machine: '0123abcd' }, 101), 'mine.features'];
    for (const name of kept) copyFileSync(join(folder, nameOf(gone(3), 3)), join(folder, name));
    expect(await read(folder, keys)).toEqual(keys.map(vector));
    const left = readdirSync(folder);
    expect(left).toEqual(expect.arrayContaining(kept));
    expect(left).toHaveLength(kept.length + 1);
    expect(await read(folder, keys)).toEqual(keys.map(vector));
  });

  it('are merged without what is damaged, cut or there twice', async () => {
    const keys = upTo(18);
    const folder = await abandoned(keys);
    const path = (k: number) => join(folder, nameOf(gone(k), k));
    const bytes = readFileSync(path(5));
    bytes[40]! ^= 1;
    writeFileSync(path(5), bytes);
    truncateSync(path(6), recordBytes - 1);
    copyFileSync(path(7), path(17));
    await read(folder, []);
    const [merged, ...others] = segments(folder);
    expect(others).toEqual([]);
    expect(readFileSync(merged!).length).toBe(15 * recordBytes);
    expect(await read(folder, keys)).toEqual(
      keys.map((k) => (k < 5 || (k > 6 && k < 17) ? vector(k) : undefined)),
    );
  });

  it('are read by a cache that was opened before another merged them', async () => {
    const keys = upTo(20);
    const folder = await abandoned(keys.slice(0, 10));
    const before = await FeatureCache.open(folder, { width });
    const rest = await abandoned(keys.slice(10));
    for (const name of readdirSync(rest)) copyFileSync(join(rest, name), join(folder, name));
    await read(folder, []);
    expect(readdirSync(folder)).toHaveLength(1);
    expect(await before.get(keys.map((k) => `image ${k}`))).toEqual(keys.map(vector));
    await before.close();
  });

  it.skipIf(process.platform !== 'linux')('keep no file open', async () => {
    const folder = await abandoned(upTo(12));
    const files = () => readdirSync('/proc/self/fd').length;
    const before = files();
    const cache = await FeatureCache.open(folder, { width });
    expect(await cache.get(['image 3', 'image 7'])).toEqual([vector(3), vector(7)]);
    expect(files()).toBe(before);
    await cache.close();
  });

  it('lose nothing wherever merging is stopped', async () => {
    const keys = upTo(17);
    for (let stop = 1; ; stop++) {
      const folder = await abandoned(keys);
      let operations = 0;
      const release = guardDisk(({ kind, bytes }) => {
        if (++operations < stop) return;
        const killed = new Error('killed');
        throw kind === 'write' && operations === stop
          ? new TornWrite(Math.floor(bytes! / 2), killed)
          : killed;
      });
      const ended = await FeatureCache.open(folder, { width }).then(
        () => true,
        () => false,
      );
      release();
      const others = upTo(20).map((k) => k + 50);
      await filled(folder, others);
      expect(await read(folder, [...keys, ...others])).toEqual([...keys, ...others].map(vector));
      if (!ended) continue;
      expect(stop).toBeGreaterThan(17);
      return;
    }
  });

  it('stay as they are where the disk is full', async () => {
    const keys = upTo(17);
    const folder = await abandoned(keys);
    const names = readdirSync(folder);
    const lines: string[] = [];
    const release = guardDisk(({ kind }) => {
      if (kind === 'write') throw new TornWrite(3, noSpace());
    });
    const cache = await FeatureCache.open(folder, { width, warn: (line) => lines.push(line) });
    release();
    expect(await cache.get(keys.map((k) => `image ${k}`))).toEqual(keys.map(vector));
    await cache.close();
    expect(lines).toEqual([expect.stringMatching(/cannot be merged.*no space left/)]);
    expect(readdirSync(folder)).toEqual(names);
  });

  it('that grow while they are merged stay', async () => {
    const keys = upTo(17);
    const folder = await abandoned(keys);
    const growing = join(folder, nameOf(gone(4), 4));
    const more = await abandoned([40]);
    const record = readFileSync(segments(more)[0]!);
    const release = guardDisk(({ kind, path }) => {
      if (kind === 'rename' && path.startsWith(folder)) appendFileSync(growing, record);
    });
    await read(folder, []);
    release();
    expect(existsSync(growing)).toBe(true);
    expect(await read(folder, [...keys, 40])).toEqual([...keys, 40].map(vector));
  });
});
