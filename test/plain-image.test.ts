import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { exifOrientation } from '../src/data/images/exif.ts';
import { plainImage } from '../src/data/images/plain-image.ts';

const pixels = Buffer.from(Array.from({ length: 16 * 9 * 3 }, (_, i) => (i * 37) % 256));
const image = () =>
  sharp(pixels, { raw: { width: 16, height: 9, channels: 3 } }).withMetadata({ orientation: 6 });
const files = {
  jpeg: await image().jpeg().toBuffer(),
  png: await image().withIccProfile('p3').png().toBuffer(),
  webp: await image().webp().toBuffer(),
};

describe('an image without what a browser would do by itself', () => {
  it.each(Object.entries(files))('%s keeps its pixels and says how it lay', async (_, file) => {
    const { bytes, orientation } = plainImage(file);
    expect(orientation).toBe(6);
    const { exif, orientation: left, icc } = await sharp(bytes).metadata();
    expect([exif, left]).toEqual([undefined, undefined]);
    if (file === files.png) expect(icc).toBeUndefined();
    const decode = (of: Uint8Array) => sharp(of, { ignoreIcc: true }).raw().toBuffer();
    expect((await decode(bytes)).equals(await decode(file))).toBe(true);
    expect(plainImage(bytes).bytes).toBe(bytes);
  });

  it.each(Object.entries(files))('%s may end or lie anywhere', (_, file) => {
    for (let end = 0; end < Math.min(file.length, 700); end++) plainImage(file.subarray(0, end));
    for (let at = 0; at < Math.min(file.length, 400); at++) {
      const damaged = Buffer.from(file);
      damaged[at] = 255;
      expect(plainImage(damaged).bytes.length).toBeLessThanOrEqual(damaged.length);
    }
  });

  it('takes no orientation but those there are', () => {
    const tiff = (order: string, value: number, type = 3) => {
      const bytes = Buffer.alloc(26);
      bytes.write(order);
      const put = order === 'II' ? 'writeUInt16LE' : 'writeUInt16BE';
      bytes[put](42, 2);
      bytes[order === 'II' ? 'writeUInt32LE' : 'writeUInt32BE'](8, 4);
      bytes[put](1, 8);
      bytes[put](0x0112, 10);
      bytes[put](type, 12);
      bytes[put](value, 18);
      return bytes;
    };
    expect(exifOrientation(tiff('II', 8))).toBe(8);
    expect(exifOrientation(tiff('MM', 3))).toBe(3);
    expect(exifOrientation(Buffer.concat([Buffer.from('Exif\0\0'), tiff('MM', 5)]))).toBe(5);
    expect([tiff('II', 0), tiff('MM', 9), tiff('II', 6, 4), tiff('XX', 6)].map(exifOrientation)).toEqual([
      1, 1, 1, 1,
    ]);
  });
});
