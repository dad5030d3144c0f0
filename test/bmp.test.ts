import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { decodeImage } from '../src/data/images/decode.ts';
import { imageFormat } from '../src/data/images/format.ts';

/** What Pillow sees in files of every kind that is read is compared in image.test.ts. */
const file = (name: string) => readFileSync(new URL(`./fixtures/bmp/${name}`, import.meta.url));
/** A file with numbers of its headers changed: 2 bytes at `short`, else 4. */
function changed(name: string, changes: Readonly<Record<number, number>>, short: readonly number[] = [28]) {
  const bytes = file(name);
  for (const [at, value] of Object.entries(changes))
    if (short.includes(Number(at))) bytes.writeUInt16LE(value, Number(at));
    else bytes.writeUInt32LE(value >>> 0, Number(at));
  return bytes;
}

async function failureOf(bytes: Uint8Array): Promise<string> {
  const failure = await decodeImage(bytes, 'a.bmp').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  return (failure as UserError).message;
}

afterEach(() => {
  delete process.env.CLIP_AGIQA_LIMITS;
});

describe('BMP', () => {
  it.each([
    ['RLE8', changed('bmp8_palette.bmp', { 30: 1 }), /compressed by RLE8 is not supported/],
    ['a JPEG within', changed('bmp24.bmp', { 30: 4 }), /compressed by JPEG is not supported/],
    ['another compression', changed('bmp24.bmp', { 30: 77 }), /compressed by 77 is not supported/],
    ['16 bits', changed('bmp24.bmp', { 28: 16 }), /16 bits per pixel is not supported/],
    ['no width', changed('bmp24.bmp', { 18: 0 }), /its size is 0 x 7/],
    ['a negative width', changed('bmp24.bmp', { 18: -13 }), /its size is -13 x 7/],
    ['no height', changed('bmp24.bmp', { 22: 0 }), /its size is 13 x 0/],
    [
      'masks in another order',
      changed('bmp32_masks.bmp', { 54: 0xff, 62: 0xff0000 }),
      /color masks other than/,
    ],
    ['masks for a palette', changed('bmp8_palette.bmp', { 30: 3 }), /color masks are missing/],
    ['a palette of 300', changed('bmp8_palette.bmp', { 46: 300 }), /palette of 300 colors, for 8 bits/],
    ['pixels in the palette', changed('bmp8_palette.bmp', { 10: 60 }), /pixels begin inside its header/],
    [
      'pixels behind the end',
      changed('bmp24.bmp', { 10: 5000 }),
      /holds 0 bytes of pixels where 279 are needed/,
    ],
    ['a row too few', file('bmp24.bmp').subarray(0, 54 + 6 * 40), /holds 240 bytes of pixels where 279/],
    ['a header cut off', file('bmp24.bmp').subarray(0, 40), /its header is cut off/],
    [
      'a color beyond the palette',
      changed('bmp4.bmp', { 46: 10 }),
      /a pixel has color 10 of a palette of 10/,
    ],
  ])('refuses %s', async (_, bytes, message) => {
    expect(await failureOf(bytes)).toMatch(message);
  });

  it('needs no filling behind its last row', async () => {
    const whole = file('bmp24.bmp');
    const bytes = whole.subarray(0, whole.length - 1);
    expect((await decodeImage(bytes, 'a.bmp')).data).toEqual((await decodeImage(whole, 'a.bmp')).data);
  });

  it('is known by its first bytes and a header of a known size', () => {
    expect(imageFormat(file('bmp24.bmp'))).toBe('bmp');
    expect(imageFormat(file('bmp8_os2.bmp'))).toBe('bmp');
    expect(imageFormat(changed('bmp24.bmp', { 14: 41 }))).toBeUndefined();
    expect(imageFormat(Buffer.from('BMW is no picture, but a text of more than 26 bytes'))).toBeUndefined();
  });

  it('is refused by the size it claims before any of it is made', async () => {
    const before = process.memoryUsage().rss;
    const bytes = changed('bmp24.bmp', { 18: 2 ** 31 - 1, 22: 2 ** 31 });
    expect(await failureOf(bytes)).toMatch(/is 2,147,483,647 x 2,147,483,648 pixels, more than the limit/);
    expect(process.memoryUsage().rss - before).toBeLessThan(50 * 2 ** 20);
    process.env.CLIP_AGIQA_LIMITS = 'imagePixels=90';
    expect(await failureOf(file('bmp24.bmp'))).toMatch(/is 13 x 7 pixels, more than the limit of 90/);
  });

  it('asks for its pixels to be admitted', async () => {
    const asked: number[] = [];
    await decodeImage(file('bmp24.bmp'), 'a.bmp', async (pixels) => void asked.push(pixels));
    expect(asked).toEqual([13 * 7]);
  });
});
