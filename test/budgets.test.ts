import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { readMat } from '../src/data/formats/mat.ts';
import { readPickle } from '../src/data/formats/pickle.ts';
import { ZipArchive } from '../src/data/formats/zip-archive.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { zip } from './zip.ts';

// Budgets are of all that a file asks for together: of many small things as of a single large one.
const limits = (text: string) => {
  process.env.CLIP_AGIQA_LIMITS = text;
};
afterEach(() => {
  delete process.env.CLIP_AGIQA_LIMITS;
});

/** A pickle of `count` short texts, each taken off the stack again: two opcodes and about 40 bytes a text. */
const texts = (count: number) =>
  new Uint8Array(Buffer.from(`\x80\x02${'U\x02ab0'.repeat(count)}N.`, 'latin1'));

test('a pickle may take so many steps', () => {
  limits('pickleSteps=100');
  expect(readPickle(texts(20), { path: 'a.pt' }).value).toBeNull();
  expect(() => readPickle(texts(200), { path: 'a.pt' })).toThrow(/a\.pt: its pickle takes too many steps/);
});

test('the values of a pickle may take so many bytes', () => {
  limits('pickleBytes=2000');
  expect(readPickle(texts(20), { path: 'a.pt' }).value).toBeNull();
  expect(() => readPickle(texts(200), { path: 'a.pt' })).toThrow(
    /a\.pt: the values of its pickle take too many/,
  );
});

const folder = temporaryFolder('budgets');

test('the compressed entries of an archive may unpack to so many bytes', async () => {
  const path = join(folder, 'a.zip');
  writeFileSync(path, zip({ one: Buffer.alloc(600), two: Buffer.alloc(600) }, ['one', 'two']));
  limits('unpackedBytes=1000');
  const archive = await ZipArchive.open(path);
  expect(await archive.read('one', 0, 600)).toHaveLength(600);
  // Kept, so that it counts once.
  expect(await archive.read('one', 0, 600)).toHaveLength(600);
  await expect(archive.read('two', 0, 600)).rejects.toThrow(/compressed entries unpack to 1,200 bytes/);
  await archive.close();
});

test('the compressed variables of a MAT-file may unpack to so many bytes', async () => {
  const path = fileURLToPath(new URL('./fixtures/mat/compressed.mat', import.meta.url));
  const bytes = readFileSync(path);
  const sizes: number[] = [];
  for (let at = 128; at < bytes.length; at += 8 + bytes.readUInt32LE(at + 4)) {
    const packed = bytes.subarray(at + 8, at + 8 + bytes.readUInt32LE(at + 4));
    sizes.push(inflateSync(packed).length);
  }
  const all = sizes.reduce((sum, size) => sum + size, 0);
  expect(all).toBeGreaterThan(2 * Math.max(...sizes));
  limits(`matBytes=${all}`);
  expect((await readMat(path)).size).toBeGreaterThan(1);
  limits(`matBytes=${all - 1}`);
  await expect(readMat(path)).rejects.toThrow(/its variables unpack to too many bytes/);
});
