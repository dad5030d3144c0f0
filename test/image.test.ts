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
