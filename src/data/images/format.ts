import { isBmp } from './bmp.ts';

/** The formats that are read. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif' | 'bmp';

/** TIFF with 32-bit and 64-bit offsets, in both byte orders. */
const tiffs = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];

/**
 * What an image file is by its first bytes; undefined for anything else. libvips by itself would also run what it has
 * loaders for, such as SVG, of which a kilobyte can take minutes, under any name.
 */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg';
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (['GIF87a', 'GIF89a'].includes(text(0, 6))) return 'gif';
  if (tiffs.includes(text(0, 4))) return 'tiff';
  if (isBmp(bytes)) return 'bmp';
  return isAvif(bytes.subarray(0, 256)) ? 'avif' : undefined;
}

/** ISO base media (ISO/IEC 14496-12): a box of type `ftyp` comes first, with brands of four characters, one of them AVIF's. */
function isAvif(start: Uint8Array): boolean {
  const text = (at: number) => String.fromCharCode(...start.subarray(at, at + 4));
  if (text(4) !== 'ftyp') return false;
  const length = new DataView(start.buffer, start.byteOffset, start.byteLength).getUint32(0);
  const end = Math.min(length, start.length);
  // After the first brand come four bytes of its version.
  const brands = Array.from({ length: Math.floor(Math.max(0, end - 8) / 4) }, (_, i) => text(8 + 4 * i));
  return brands.some((brand, i) => i !== 1 && (brand === 'avif' || brand === 'avis'));
}
