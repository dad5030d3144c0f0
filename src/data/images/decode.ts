import sharp from 'sharp';
import { UserError } from '../../common/errors.ts';
import { beyondLimit, limit } from '../../common/limits.ts';
import { BmpError, type BmpHeader, decodeBmp, readBmpHeader } from './bmp.ts';
import { imageFormat, unsupportedReason } from './format.ts';
import type { RawImage } from './input.ts';

// Every image is decoded once: libvips' own cache would only hold memory.
sharp.cache(false);
// Images are prepared side by side (ImageLoader); threads within one only cost time: 5.3 against 6.3 ms an image.
sharp.concurrency(1);

/** The decoder's own version: another may give other pixels. */
export const decoderId = `sharp ${sharp.versions.sharp} libvips ${sharp.versions.vips}`;

/** A decoded image: 8-bit RGB, row by row, `data.length === width * height * 3`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** File extensions (lower case, with dot) of the formats that `decodeImage` is meant for. */
export const imageExtensions: ReadonlySet<string> = new Set(
  '.jpg .jpeg .png .webp .gif .tif .tiff .avif .bmp'.split(' '),
);

/**
 * Decodes an image file's bytes as Pillow's `Image.open(…).convert('RGB')` sees it: gray and palette expanded,
 * alpha dropped (not blended), EXIF rotation and color profiles ignored, the first frame of an animation. Three
 * cases differ: fully transparent pixels of a GIF are black (its decoder does not keep their color), 16-bit samples keep their high byte (Pillow clips gray ones to 255 and so
 * makes them white), and CMYK is converted by Pillow's formula, R = (255 − K)(255 − C) / 255.
 * The bytes' first few decide what format they are read as, whatever the file's name is, and the size they declare is
 * checked before they are decoded.
 *
 * @param name stands in the error of an unreadable image
 * @param admit is waited for between the two, with the number of pixels
 * @param options.autoOrient turns the image as its EXIF orientation says
 * @throws UserError for what is no whole image, or one of more pixels than the limit
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  admit: (pixels: number) => Promise<void> = async () => {},
  options: { readonly autoOrient?: boolean | undefined } = {},
): Promise<RgbImage> {
  const { pixels, space, bmp } = await inspectImage(bytes, name);
  await admit(pixels);
  try {
    if (bmp) return { width: bmp.width, height: bmp.height, data: decodeBmp(bytes, bmp) };
    // 'error' lets through what libjpeg only warns about, as Pillow does, but no truncated file.
    const input = sharp(bytes, {
      failOn: 'error',
      ignoreIcc: true,
      limitInputPixels: limit('imagePixels'),
      autoOrient: options.autoOrient ?? false,
    }).timeout({ seconds: limit('imageSeconds') });
    if (space === 'cmyk') {
      const { data, info } = await input
        .pipelineColourspace('cmyk')
        .toColourspace('cmyk')
        .raw()
        .toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, data: cmykToRgb(data, info.channels) };
    }
    const { data, info } = await input
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return {
      width: info.width,
      height: info.height,
      data: info.channels === 1 ? grayToRgb(data) : new Uint8Array(data.buffer, data.byteOffset, data.length),
    };
  } catch (error) {
    throw undecodable(name, error);
  }
}

/**
 * Pixels that are given, as {@link decodeImage} gives those of a file: gray expanded, alpha dropped.
 *
 * @param name stands in the error
 * @param admit is waited for first, with the number of pixels
 * @throws UserError if the numbers do not fit together, or for more pixels than the limit
 */
export async function rgbOf(
  { data, width, height, channels }: RawImage,
  name: string,
  admit: (pixels: number) => Promise<void> = async () => {},
): Promise<RgbImage> {
  if (
    ![width, height].every((side) => Number.isInteger(side) && side > 0) ||
    ![1, 2, 3, 4].includes(channels)
  )
    throw new UserError(
      `${name}: ${width} x ${height} pixels of ${channels} channels are no image`,
      'Width and height are whole numbers of pixels; channels are 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA).',
    );
  await admit(checkPixels(name, { width, height }));
  const needed = width * height * channels;
  if (data.length !== needed)
    throw new UserError(
      `${name}: has ${data.length} bytes where ${width} x ${height} pixels of ${channels} channels take ${needed}`,
      'Pass 8 bits a sample, row by row, without padding.',
    );
  const rgb = new Uint8Array(width * height * 3);
  const green = channels > 2 ? 1 : 0;
  for (let i = 0, o = 0; o < rgb.length; i += channels, o += 3) {
    rgb[o] = data[i]!;
    rgb[o + 1] = data[i + green]!;
    rgb[o + 2] = data[i + 2 * green]!;
  }
  return { width, height, data: rgb };
}

/**
 * What an image file's bytes say of it, of the formats that are read and within the limits; nothing is decoded.
 *
 * @returns `pixels` as they count for the memory that decoding takes
 * @throws UserError
 */
async function inspectImage(
  bytes: Uint8Array,
  name: string,
): Promise<{ readonly pixels: number; readonly space?: string; readonly bmp?: BmpHeader }> {
  const format = imageFormat(bytes);
  if (!format) throw unreadable(name, unsupportedReason(bytes));
  if (format === 'bmp') {
    const bmp = headerOf(bytes, name);
    return { pixels: checkPixels(name, bmp), bmp };
  }
  const { width, height, space } = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch((error) => {
      throw undecodable(name, error);
    });
  return { pixels: checkPixels(name, { width, height }, format === 'avif' ? 2 : 1), space };
}

function headerOf(bytes: Uint8Array, name: string): BmpHeader {
  try {
    return readBmpHeader(bytes);
  } catch (error) {
    if (!(error instanceof BmpError)) throw error;
    throw undecodable(name, error);
  }
}

/** The pixels as they count for the memory that decoding takes, `cost` times their number; refused above the limit. */
function checkPixels(
  name: string,
  { width, height }: { readonly width: number; readonly height: number },
  cost = 1,
): number {
  const pixels = width * height * cost;
  if (!(pixels <= limit('imagePixels'))) throw tooLarge(name, width, height);
  return pixels;
}

const undecodable = (name: string, error: unknown) =>
  unreadable(name, error instanceof Error ? error.message.split('\n')[0]! : String(error), error);

const unreadable = (name: string, reason: string, cause?: unknown) =>
  new UserError(
    `${name}: not a readable image (${reason})`,
    'Check that the file is a complete JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP.',
    { cause },
  );

/** The limit's name stands in the message, since an image's advice is not shown where others go on. */
function tooLarge(name: string, width: number, height: number): UserError {
  const [w, h] = [width, height].map((side) => side.toLocaleString('en'));
  const { message, advice } = beyondLimit('imagePixels', `${name}: is ${w} x ${h} pixels`);
  return new UserError(`${message} (imagePixels in CLIP_AGIQA_LIMITS)`, advice);
}

function grayToRgb(gray: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(gray.length * 3);
  for (let i = 0, o = 0; i < gray.length; i++, o += 3) rgb[o] = rgb[o + 1] = rgb[o + 2] = gray[i]!;
  return rgb;
}

/** a·b / 255, rounded, for bytes. */
function multiplyBytes(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

function cmykToRgb(cmyk: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / channels) * 3);
  for (let i = 0, o = 0; i < cmyk.length; i += channels, o += 3) {
    const light = 255 - cmyk[i + 3]!;
    for (let c = 0; c < 3; c++) rgb[o + c] = Math.max(0, light - multiplyBytes(cmyk[i + c]!, light));
  }
  return rgb;
}
