import { keyOf, philox, streams } from '../../common/random.ts';
import type { RgbImage } from './decode.ts';
import { type Box, resizeBicubic } from './resize.ts';

/** Area of a random crop as a share of the image's, and its aspect ratio width / height. */
const cropScale = [0.08, 1] as const;
const cropRatio = [3 / 4, 4 / 3] as const;
const cropTries = 10;

/** A crop, and whether it is mirrored left to right after it is resized. */
export interface CropDraw {
  readonly box: Box;
  readonly flip: boolean;
}

/** Python's `round`: halves go to the even neighbor. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/**
 * The published test transform: the shorter side resized to `size` (the longer truncated to a whole number, as
 * torchvision's Resize does), then the center `size` x `size`. RGB bytes, row by row, size·size·3.
 */
export function testTransform(image: RgbImage, size: number): Uint8Array {
  const { width, height } = image;
  const newWidth = width <= height ? size : Math.trunc((size * width) / height);
  const newHeight = width <= height ? Math.trunc((size * height) / width) : size;
  const window = {
    left: roundHalfEven((newWidth - size) / 2),
    top: roundHalfEven((newHeight - size) / 2),
    width: size,
    height: size,
  };
  return resizeBicubic(image, { left: 0, top: 0, width, height }, newWidth, newHeight, window);
}

/** The given box resized to `size` x `size`, mirrored if `flip`. RGB bytes, row by row, size·size·3. */
export function cropTransform(image: RgbImage, { box, flip }: CropDraw, size: number): Uint8Array {
  const pixels = resizeBicubic(image, box, size, size);
  if (flip) flipRows(pixels, size);
  return pixels;
}

/**
 * `size` x `size` pixels of the image as they are, not resized, which the resized image has no longer: grain, sharpness, compression. Of an
 * image with a shorter side, the largest square, enlarged. RGB bytes, row by row, size·size·3.
 *
 * @param place where it lies in what room there is: 0, 0 is the top left corner, 0.5, 0.5 the center
 */
export function nativeCrop(
  image: RgbImage,
  place: { readonly x: number; readonly y: number },
  size: number,
): Uint8Array {
  const side = Math.min(size, image.width, image.height);
  const left = Math.round(place.x * (image.width - side));
  const top = Math.round(place.y * (image.height - side));
  return cropTransform(image, { box: { left, top, width: side, height: side }, flip: false }, size);
}

/** Mirrors RGB rows of `width` pixels left to right, in place. */
function flipRows(pixels: Uint8Array, width: number): void {
  const line = width * 3;
  for (let row = 0; row < pixels.length; row += line) {
    for (let a = row, b = row + line - 3; a < b; a += 3, b -= 3) {
      for (let c = 0; c < 3; c++) {
        const kept = pixels[a + c]!;
        pixels[a + c] = pixels[b + c]!;
        pixels[b + c] = kept;
      }
    }
  }
}

/**
 * Random resized crop and flip by torchvision's rule: ten tries of an area (`minArea`, 0.08, to 1 of the image) and an aspect
 * ratio (3/4 to 4/3, uniform in its logarithm); if none fits, the largest centered crop within the ratios. The draw
 * depends on seed, epoch and image index alone, not on the order in which images are asked for.
 */
export function drawCrop(
  width: number,
  height: number,
  seed: number,
  epoch: number,
  index: number,
  minArea: number = cropScale[0],
): CropDraw {
  const key = keyOf(seed);
  const draw = (block: number) => philox([block, index, epoch, streams.crop], key);
  const share = (word: number) => word * 2 ** -32;
  const flip = share(draw(cropTries)[0]) < 0.5;
  const [logLow, logHigh] = [Math.log(cropRatio[0]), Math.log(cropRatio[1])] as const;
  for (let attempt = 0; attempt < cropTries; attempt++) {
    const [a, b, c, d] = draw(attempt);
    const area = width * height * (minArea + (cropScale[1] - minArea) * share(a));
    const ratio = Math.exp(logLow + (logHigh - logLow) * share(b));
    const w = roundHalfEven(Math.sqrt(area * ratio));
    const h = roundHalfEven(Math.sqrt(area / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const top = Math.floor(share(c) * (height - h + 1));
      const left = Math.floor(share(d) * (width - w + 1));
      return { box: { left, top, width: w, height: h }, flip };
    }
  }
  return { box: largestCenteredBox(width, height), flip };
}

function largestCenteredBox(width: number, height: number): Box {
  const ratio = width / height;
  let [w, h] = [width, height];
  if (ratio < cropRatio[0]) h = Math.min(height, roundHalfEven(width / cropRatio[0]));
  else if (ratio > cropRatio[1]) w = Math.min(width, roundHalfEven(height * cropRatio[1]));
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h };
}

/**
 * RGB bytes of one or more images (each size·size·3, interleaved) as the network takes them: (byte / 255 − mean) /
 * std for each channel, planes R, G, B after one another. Float32, n·3·size·size.
 */
export function toNormalizedCHW(
  bytes: Uint8Array,
  size: number,
  mean: readonly number[],
  std: readonly number[],
): Float32Array {
  const plane = size * size;
  const result = new Float32Array(bytes.length);
  for (let c = 0; c < 3; c++) {
    const table = Float32Array.from({ length: 256 }, (_, v) =>
      Math.fround(
        Math.fround(Math.fround(Math.fround(v) / Math.fround(255)) - Math.fround(mean[c]!)) /
          Math.fround(std[c]!),
      ),
    );
    for (let image = 0; image < bytes.length; image += plane * 3) {
      const out = image + c * plane;
      for (let p = 0, at = image + c; p < plane; p++, at += 3) result[out + p] = table[bytes[at]!]!;
    }
  }
  return result;
}
