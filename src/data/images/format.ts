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
  const text = reader(bytes);
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg';
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (['GIF87a', 'GIF89a'].includes(text(0, 6))) return 'gif';
  if (tiffs.includes(text(0, 4))) return 'tiff';
  if (isBmp(bytes)) return 'bmp';
  return brandsOf(bytes).some((brand) => brand === 'avif' || brand === 'avis') ? 'avif' : undefined;
}

/** Why bytes of which {@link imageFormat} knows nothing are not read. */
export function unsupportedReason(bytes: Uint8Array): string {
  const format = unsupportedFormat(bytes);
  return format
    ? `${format} is not supported; convert it to PNG`
    : 'its content is in none of the supported formats';
}

/** The name of a format that is known but not read: libvips has no decoder for it in sharp's builds, or it is no raster of pixels. */
function unsupportedFormat(bytes: Uint8Array): string | undefined {
  const text = reader(bytes);
  if (brandsOf(bytes).some((brand) => /^(hei|hev|mif1|msf1)/.test(brand))) return 'HEIC';
  if (text(0, 2) === '\xff\n' || text(4, 12) === 'JXL \r\n\x87\n') return 'JPEG XL';
  if (text(0, 4) === '\xff\x4f\xff\x51' || text(4, 12) === 'jP  \r\n\x87\n') return 'JPEG 2000';
  return /^(<\?xml[^>]*>|<!--[^>]*>|<!DOCTYPE[^>]*>|\s)*<svg\b/.test(text(0, 1024)) ? 'SVG' : undefined;
}

const reader = (bytes: Uint8Array) => (from: number, to: number) =>
  String.fromCharCode(...bytes.subarray(from, to));

/** ISO base media (ISO/IEC 14496-12): a box of type `ftyp` comes first, with brands of four characters; those of the first 256 bytes. */
function brandsOf(bytes: Uint8Array): string[] {
  const text = reader(bytes);
  if (text(4, 8) !== 'ftyp') return [];
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const end = Math.min(length, bytes.length, 256);
  // After the first brand come four bytes of its version.
  return Array.from({ length: Math.floor(Math.max(0, end - 8) / 4) }, (_, i) =>
    text(8 + 4 * i, 12 + 4 * i),
  ).filter((_, i) => i !== 1);
}
