import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { fixture } from './bases.ts';
import { type ByteEdit, editBytes, seldomEdited } from './byte-edits.ts';
import { type Target, target } from './target.ts';
import { bytesTarget, file } from './targets-weights.ts';

const pngSignature = 8;

const side = fc.oneof(fc.nat(40), fc.constantFrom(0, 4096, 9000, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1));
const headerChange = fc.oneof(
  fc.record({ at: fc.constantFrom(0, 4), value: side }),
  fc.record({ at: fc.constantFrom(8, 9, 10, 11, 12), value: fc.constantFrom(0, 1, 2, 3, 4, 6, 8, 16, 255) }),
);

/** The header of a PNG with the right checksum around wrong numbers. */
const pngHeader = target<{ base: string; changes: { at: number; value: number }[]; bytes: ByteEdit[] }>({
  name: 'png header',
  reader: 'image',
  whole: { base: 'bilevel.png', changes: [], bytes: [] },
  plan: fc.record({
    base: fc.constantFrom('bilevel.png', 'grey_alpha.png', 'transparent_palette.png'),
    changes: fc.array(headerChange, { minLength: 1, maxLength: 3 }),
    bytes: seldomEdited(2, 3),
  }),
  write: ({ base, changes, bytes }, folder) => {
    const image = fixture(`decode/${base}`);
    // The chunk's name and its 13 bytes: width, height, depth, color, compression, filter, interlace.
    const chunk = image.subarray(pngSignature + 4, pngSignature + 4 + 4 + 13);
    for (const { at, value } of changes)
      if (at < 8) chunk.writeUInt32BE(value, 4 + at);
      else chunk[4 + at] = value;
    image.writeUInt32BE(crc32(chunk), pngSignature + 4 + 4 + 13);
    return file(folder, 'a.png', editBytes(image, bytes));
  },
});

const bmpBases = ['bmp24.bmp', 'bmp8_palette.bmp', 'bmp4.bmp', 'bmp32_masks.bmp', 'bmp8_os2.bmp'];

/** Where the members of a BMP's headers lie: offset of the pixels, size of the header, sizes, depth, compression, colors, masks. */
const bmpMembers = [10, 14, 18, 20, 22, 24, 26, 28, 30, 34, 46, 54, 58, 62];

/** The header of a BMP with wrong numbers. */
const bmpHeader = target<{ base: string; changes: { at: number; value: number }[]; bytes: ByteEdit[] }>({
  name: 'bmp header',
  reader: 'image',
  whole: { base: 'bmp24.bmp', changes: [], bytes: [] },
  plan: fc.record({
    base: fc.constantFrom(...bmpBases),
    changes: fc.array(
      fc.record({
        at: fc.constantFrom(...bmpMembers),
        value: fc.oneof(
          side,
          fc.constantFrom(
            1,
            3,
            4,
            8,
            12,
            16,
            24,
            32,
            52,
            56,
            64,
            108,
            124,
            255,
            256,
            257,
            0xfffffff9,
            0xff00,
          ),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    bytes: seldomEdited(2, 3),
  }),
  write: ({ base, changes, bytes }, folder) => {
    const image = fixture(`bmp/${base}`);
    for (const { at, value } of changes) image.writeUInt32LE(value, at);
    return file(folder, 'a.bmp', editBytes(image, bytes));
  },
});

const images = {
  png: ['bilevel.png', 'grey_alpha.png', 'transparent_palette.png'],
  jpeg: ['chroma_halved.jpg', 'cmyk.jpg', 'grey.jpg', 'progressive.jpg'],
  'gif, webp, tiff': ['frames.gif', 'lossy.webp', 'lzw.tif'],
};

const text = target<{ text: string; repeat: number }>({
  name: 'texts',
  reader: 'text',
  whole: { text: 'a cat', repeat: 1 },
  plan: fc.record({
    text: fc.oneof(
      fc.string({ maxLength: 60, unit: 'binary' }),
      fc.string({ maxLength: 60, unit: 'grapheme' }),
      fc
        .array(
          fc.constantFrom(
            '&amp;',
            '&#0;',
            '<|endoftext|>',
            '<|startoftext|>',
            "'ll",
            '\u0000',
            '\ud800',
            '\u0301',
            'a',
            ' ',
          ),
          { maxLength: 30 },
        )
        .map((parts) => parts.join('')),
    ),
    repeat: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, fc.constantFrom(100, 1000)),
  }),
  write: (plan, folder) => file(folder, 'a.txt', plan.text.repeat(plan.repeat)),
});

/** Captions and images. */
export const mediaTargets: readonly Target[] = [
  text,
  pngHeader,
  bmpHeader,
  bytesTarget('bmp', 'image', bmpBases, (base) => fixture(`bmp/${base}`)),
  ...Object.entries(images).map(([name, bases]) =>
    bytesTarget(name, 'image', bases, (base) => fixture(`decode/${base}`)),
  ),
];
