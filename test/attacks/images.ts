import { fixture } from '../fuzz/bases.ts';
import { type Attack, fileAttack } from './attack.ts';

/** A whole BMP of 13 x 7 pixels with numbers of its headers changed. */
const bmp = (name: string, changes: Readonly<Record<number, number>>): Buffer => {
  const bytes = fixture(`bmp/${name}`);
  for (const [at, value] of Object.entries(changes)) bytes.writeUInt32LE(value >>> 0, Number(at));
  return bytes;
};

const bmpAttack = (name: string, once: string, bytes: () => Buffer, message: RegExp): Attack =>
  fileAttack('attack.bmp', { name, once, reader: 'image', bytes, message });

/** Images whose headers lie. What libvips decodes is checked by it, within limits of size and time. */
export const imageAttacks: readonly Attack[] = [
  bmpAttack(
    'a BMP of 2 billion by 2 billion pixels',
    'bmp-ts allocates 4 bytes for each before it reads one',
    () => bmp('bmp24.bmp', { 18: 2 ** 31 - 1, 22: 2 ** 31 }),
    /is 2,147,483,647 x 2,147,483,648 pixels, more than the limit of/,
  ),
  bmpAttack(
    'a BMP of 8,000 by 8,000 pixels that holds 273 bytes of them',
    '192 MB made for a file of 300 bytes',
    () => bmp('bmp24.bmp', { 18: 8000, 22: 8000 }),
    /holds \d+ bytes of pixels where 192000000 are needed/,
  ),
  bmpAttack(
    'a BMP palette of 4 billion colors',
    'an index from 16 GB behind the header',
    () => bmp('bmp8_palette.bmp', { 46: 2 ** 32 - 1 }),
    /palette of 4294967295 colors, for 8 bits per pixel/,
  ),
  bmpAttack(
    'BMP pixels that begin in the header',
    "the header's own bytes became colors",
    () => bmp('bmp24.bmp', { 10: 0 }),
    /pixels begin inside its header/,
  ),
  bmpAttack(
    'a BMP run-length encoded, its size up to its jumps',
    'never read',
    () => bmp('bmp8_palette.bmp', { 30: 1 }),
    /compressed by RLE8 is not supported/,
  ),
];
