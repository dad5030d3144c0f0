import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { BmpError, decodeBmp, readBmpHeader } from '../../data/images/bmp.ts';
import type { RgbImage } from '../../data/images/decode.ts';
import { orient } from '../../data/images/exif.ts';
import { imageFormat, unsupportedReason } from '../../data/images/format.ts';
import { plainImage } from '../../data/images/plain-image.ts';
import { readBitmap } from './read-bitmap.ts';

/**
 * Decodes an image in a page as `decodeImage` does in Node: alpha dropped and not blended, color profiles and, unless
 * `autoOrient`, the EXIF orientation ignored, the first frame of an animation. The bytes are the same for JPEG, PNG, WebP, GIF and
 * BMP; those of AVIF and of JPEG in CMYK differ by 1 here and there, and TIFF is refused (test/web/images.test.ts).
 *
 * @throws UserError for what is no image that the browser decodes, or too large
 */
export async function decodeImage(
  device: GPUDevice,
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  { autoOrient = false }: { readonly autoOrient?: boolean } = {},
): Promise<RgbImage> {
  checkLimit('imageBytes', bytes.length, (amount) => `${name}: has ${amount} bytes`);
  const format = imageFormat(bytes);
  if (!format) throw unreadable(name, unsupportedReason(bytes));
  if (format === 'tiff')
    throw unreadable(name, 'browsers do not read TIFF: save it as PNG, or score it on the command line');
  if (format === 'bmp') return decodeOwnBmp(bytes, name);
  const plain = plainImage(bytes);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([plain.bytes as Uint8Array<ArrayBuffer>]), {
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    });
  } catch (error) {
    throw unreadable(name, `the browser cannot decode this ${format.toUpperCase()}`, error);
  }
  try {
    checkPixels(name, bitmap);
    const image = await readBitmap(device, bitmap);
    return autoOrient ? orient(image, plain.orientation) : image;
  } finally {
    bitmap.close();
  }
}

function decodeOwnBmp(bytes: Uint8Array, name: string): RgbImage {
  try {
    const header = readBmpHeader(bytes);
    checkPixels(name, header);
    return { width: header.width, height: header.height, data: decodeBmp(bytes, header) };
  } catch (error) {
    if (!(error instanceof BmpError)) throw error;
    throw unreadable(name, error.message, error);
  }
}

function checkPixels(name: string, { width, height }: { readonly width: number; readonly height: number }) {
  checkLimit('imagePixels', width * height, (amount) => `${name}: has ${amount} pixels`);
}

const unreadable = (name: string, reason: string, cause?: unknown) =>
  new UserError(
    `${name}: not a readable image (${reason})`,
    'Check that the file is a complete JPEG, PNG, WebP, GIF, AVIF or BMP.',
    { cause },
  );
