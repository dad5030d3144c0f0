import { exifOrientation } from './exif.ts';
import { imageFormat } from './format.ts';

/** An encoded image without what a browser would do by itself. */
export interface PlainImage {
  readonly bytes: Uint8Array;
  /** How to turn it, 1 to 8 as EXIF counts; 1 is not at all. */
  readonly orientation: number;
}

/**
 * Takes out of an encoded image what a browser would apply by itself and Node's decoder is told to ignore: the EXIF orientation (some
 * browsers heed that of JPEG alone, some others), and what PNG says of colors (by gAMA and cHRM a browser converts even where it is
 * asked not to). The coded pixels stay as they are.
 */
export function plainImage(bytes: Uint8Array): PlainImage {
  const format = imageFormat(bytes);
  if (format === 'jpeg') return without(bytes, jpegExif(bytes), (part) => part.subarray(10));
  if (format === 'png') return without(bytes, pngChunks(bytes), (part) => part.subarray(8, -4));
  if (format !== 'webp') return { bytes, orientation: 1 };
  const plain = without(bytes, webpExif(bytes), (part) => part.subarray(8));
  return plain.bytes === bytes ? plain : { ...plain, bytes: asWithoutExif(plain.bytes) };
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly exif: boolean;
}

function without(
  bytes: Uint8Array,
  parts: readonly Part[],
  payload: (part: Uint8Array) => Uint8Array,
): PlainImage {
  if (parts.length === 0) return { bytes, orientation: 1 };
  const kept = new Uint8Array(bytes.length - parts.reduce((sum, { from, to }) => sum + to - from, 0));
  let [read, written] = [0, 0];
  for (const { from, to } of [...parts, { from: bytes.length, to: bytes.length }]) {
    kept.set(bytes.subarray(read, from), written);
    written += from - read;
    read = to;
  }
  const exif = parts.find((part) => part.exif);
  return {
    bytes: kept,
    orientation: exif ? exifOrientation(payload(bytes.subarray(exif.from, exif.to))) : 1,
  };
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

const textAt = (bytes: Uint8Array, at: number, length: number) =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** The APP1 segments of EXIF before the first scan (ITU-T T.81, annex B; Exif 2.32, 4.7). */
function jpegExif(bytes: Uint8Array): Part[] {
  const view = viewOf(bytes);
  const parts: Part[] = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
    // Any number of 0xff may stand before a marker.
    if (bytes[at + 1] === 0xff) {
      at++;
      continue;
    }
    const end = Math.min(at + 2 + view.getUint16(at + 2), bytes.length);
    if (bytes[at + 1] === 0xe1 && textAt(bytes, at + 4, 6) === 'Exif\0\0')
      parts.push({ from: at, to: end, exif: true });
    at = end;
  }
  return parts;
}

const pngColors: readonly string[] = ['gAMA', 'cHRM', 'iCCP', 'sRGB', 'cICP'];

/** Chunks of color and EXIF (ISO/IEC 15948): length, type, data, check sum. */
function pngChunks(bytes: Uint8Array): Part[] {
  const view = viewOf(bytes);
  const parts: Part[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at);
    if (end > bytes.length) break;
    const type = textAt(bytes, at + 4, 4);
    if (type === 'eXIf' || pngColors.includes(type)) parts.push({ from: at, to: end, exif: type === 'eXIf' });
    at = end;
  }
  return parts;
}

/** The chunk of EXIF in the extended format (RFC 9649, 2.7). */
function webpExif(bytes: Uint8Array): Part[] {
  if (textAt(bytes, 12, 4) !== 'VP8X' || bytes.length < 30) return [];
  const view = viewOf(bytes);
  const parts: Part[] = [];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size % 2);
    if (end > bytes.length) break;
    if (textAt(bytes, at, 4) === 'EXIF') parts.push({ from: at, to: end, exif: true });
    at = end;
  }
  return parts;
}

/** The size of the file and the flag that go with the chunk. */
function asWithoutExif(webp: Uint8Array): Uint8Array {
  viewOf(webp).setUint32(4, webp.length - 8, true);
  webp[20]! &= ~0x08;
  return webp;
}
