import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { decodeImage } from '../../src/data/images/decode.ts';
import { testTransform } from '../../src/data/images/transforms.ts';
import { inBrowser } from '../chromium.ts';
import { TestBrowser } from './browser.ts';
import { kinds } from './image-kinds.ts';
import type { Lab } from './lab-calls.ts';
import { labPage } from './lab-page.ts';

/** Kinds that Chromium decodes otherwise than libvips: their color conversion rounds differently. */
const inexact: Readonly<Record<string, number>> = { 'cmyk.jpg': 1, 'color.avif': 1 };

describe('an image in a page', () => {
  let browser: TestBrowser;
  let page: Awaited<ReturnType<TestBrowser['open']>>;

  beforeAll(async () => {
    const lab = await labPage();
    browser = await TestBrowser.launch(
      (path) => lab(path) ?? (kinds[path.slice(1)] && { type: 'image', body: kinds[path.slice(1)]! }),
    );
    page = await browser.open('/lab');
  });
  afterAll(() => browser?.close());

  const decode = (name: string, autoOrient = false) =>
    page.evaluate(([url, turn]) => (globalThis as unknown as { lab: Lab }).lab.decode(url, turn), [
      `/${name}`,
      autoOrient,
    ] as const);
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

  for (const [name, bytes] of Object.entries(kinds)) {
    if (name in inexact || name.endsWith('.tiff')) continue;
    inBrowser(`${name} has Node's pixels, and what the network takes of them, byte for byte`, async () => {
      for (const autoOrient of name.startsWith('rotated') ? [false, true] : [false]) {
        const expected = await decodeImage(bytes, name, undefined, { autoOrient });
        const found = await decode(name, autoOrient);
        expect(found.size).toEqual([expected.width, expected.height]);
        expect(found.some).toEqual([...expected.data.subarray(0, 3000)]);
        expect(found.pixels).toBe(sha256(expected.data));
        expect(found.prepared).toBe(sha256(testTransform(expected, 64)));
      }
    });
  }

  for (const [name, most] of Object.entries(inexact))
    inBrowser(`${name} differs by ${most} at most`, async () => {
      const expected = await decodeImage(kinds[name]!, name);
      const { some } = await decode(name);
      expect(Math.max(...some.map((value, i) => Math.abs(value - expected.data[i]!)))).toBeLessThanOrEqual(
        most,
      );
    });

  inBrowser('what no browser reads is refused in words', async () => {
    await expect(decode('color.tiff')).rejects.toThrow(
      /color\.tiff: not a readable image \(browsers do not read TIFF/,
    );
    await expect(decode('lab.js')).rejects.toThrow(
      /lab\.js: not a readable image \(its content is in none of/,
    );
    expect(browser.trouble).toEqual([]);
  });
});
