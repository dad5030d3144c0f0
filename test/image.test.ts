import { readdirSync, readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { decodeImage } from '../src/data/images/decode.ts';

const fixtures = new URL('./fixtures/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, fixtures));
const images = ['decode', 'bmp'].flatMap((folder) =>
  readdirSync(new URL(folder, fixtures))
    .filter((name) => !/\.(expected\.png|md|py)$/.test(name))
    .map((name) => `${folder}/${name}`),
);

describe('decodeImage', () => {
  it.each(images)('sees %s as Pillow does, byte for byte', async (name) => {
    const { width, height, data } = await decodeImage(read(name), name);
    const want = await sharp(read(`${name}.expected.png`))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([width, height, want.info.channels]).toEqual([want.info.width, want.info.height, 3]);
    expect(Buffer.from(data).equals(want.data)).toBe(true);
  });

  it('keeps the high byte of 16-bit samples', async () => {
    const samples = Uint16Array.from({ length: 30 * 3 }, (_, i) => i * 700);
    const bytes = await sharp(samples, { raw: { width: 10, height: 9, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    const { data } = await decodeImage(bytes, 'deep.png');
    expect([...data]).toEqual([...samples].flatMap((v) => [v >> 8, v >> 8, v >> 8]));
  });

  it('ignores rotation by EXIF', async () => {
    const bytes = await sharp({ create: { width: 6, height: 4, channels: 3, background: 'red' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const { width, height } = await decodeImage(bytes, 'turned.jpg');
    expect([width, height]).toEqual([6, 4]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'turns an image upright where asked to: orientation %i',
    async (orientation) => {
      const [width, height] = [5, 3];
      const upright = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 17) % 256);
      // Where a camera held that way stores the pixel that belongs at x, y (EXIF 2.32, tag 274).
      const [right, down] = [width - 1, height - 1];
      const places: Record<number, (x: number, y: number) => [number, number]> = {
        1: (x, y) => [x, y],
        2: (x, y) => [right - x, y],
        3: (x, y) => [right - x, down - y],
        4: (x, y) => [x, down - y],
        5: (x, y) => [y, x],
        6: (x, y) => [y, right - x],
        7: (x, y) => [down - y, right - x],
        8: (x, y) => [down - y, x],
      };
      const size = orientation < 5 ? { width, height } : { width: height, height: width };
      const stored = new Uint8Array(upright.length);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const [column, row] = places[orientation]!(x, y);
          const at = 3 * (y * width + x);
          stored.set(upright.subarray(at, at + 3), 3 * (row * size.width + column));
        }
      const bytes = await sharp(stored, { raw: { ...size, channels: 3 } })
        .png()
        .withMetadata({ orientation })
        .toBuffer();
      const image = await decodeImage(bytes, 'turned.png', undefined, { autoOrient: true });
      expect([image.width, image.height]).toEqual([width, height]);
      expect([...image.data]).toEqual([...upright]);
    },
  );

  it.each([
    ['no image at all', Buffer.from('hello, I am text')],
    ['an empty file', Buffer.alloc(0)],
    ['a truncated JPEG', read('decode/progressive.jpg').subarray(0, 400)],
    ['a truncated PNG', read('decode/grey_alpha.png').subarray(0, 300)],
    ['a truncated BMP', read('bmp/bmp24.bmp').subarray(0, 300)],
  ])('names the file that is %s', async (_, bytes) => {
    const failure = await decodeImage(bytes, '/some/where/bad.png').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as UserError).message).toMatch(/^\/some\/where\/bad\.png: not a readable image/);
  });
});
