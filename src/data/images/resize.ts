import type { RgbImage } from './decode.ts';

/** Pillow keeps the weights of 8-bit images in fixed point: 32 bits less 8 of the pixel and 2 of headroom. */
const precisionBits = 22;
const half = 1 << (precisionBits - 1);

/** A rectangle of pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** For each output position i: its first input position, its number of taps, and `stride` weights from i·stride on. */
interface Weights {
  readonly first: Int32Array;
  readonly taps: Int32Array;
  readonly stride: number;
  readonly weight: Int32Array;
}

/** The cubic convolution kernel (Keys 1981) with a = −0.5; zero from |x| = 2 on. */
function cubic(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** Weights of a line of `input` samples resampled to `output`: the kernel is widened by the factor when shrinking. */
function computeWeights(input: number, output: number): Weights {
  const scale = input / output;
  const widening = Math.max(scale, 1);
  const support = 2 * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(output);
  const taps = new Int32Array(output);
  const weight = new Int32Array(output * stride);
  const line = new Float64Array(stride);
  // The product with the reciprocal, not a division: the last bit decides how a weight rounds.
  const narrowing = 1 / widening;
  for (let i = 0; i < output; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(input, Math.trunc(center + support + 0.5)) - from;
    let sum = 0;
    for (let t = 0; t < count; t++) {
      const value = cubic((t + from - center + 0.5) * narrowing);
      line[t] = value;
      sum += value;
    }
    first[i] = from;
    taps[i] = count;
    for (let t = 0; t < count; t++) {
      const fixed = (sum === 0 ? line[t]! : line[t]! / sum) * (1 << precisionBits);
      weight[i * stride + t] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
  }
  return { first, taps, stride, weight };
}

/** Random crops bring a new size nearly every time: enough for the fixed ones, bounded for the rest. */
const maxCached = 512;
const cache = new Map<number, Weights>();

function weightsFor(input: number, output: number): Weights {
  const key = input * 0x100000 + output;
  let weights = cache.get(key);
  if (!weights) {
    weights = computeWeights(input, output);
    if (cache.size >= maxCached) cache.delete(cache.keys().next().value!);
    cache.set(key, weights);
  }
  return weights;
}

/** Rows top … top + height − 1 of the image, each resampled along x; only columns left … of the result are made. */
function resampleRows(
  image: RgbImage,
  source: Box,
  weights: Weights,
  left: number,
  width: number,
): Uint8ClampedArray {
  const { data } = image;
  const { first, taps, stride, weight } = weights;
  const result = new Uint8ClampedArray(source.height * width * 3);
  let out = 0;
  for (let y = 0; y < source.height; y++) {
    const row = ((source.top + y) * image.width + source.left) * 3;
    for (let x = left; x < left + width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let at = row + first[x]! * 3;
      const start = x * stride;
      const end = start + taps[x]!;
      for (let k = start; k < end; k++, at += 3) {
        const w = weight[k]!;
        red += Math.imul(data[at]!, w);
        green += Math.imul(data[at + 1]!, w);
        blue += Math.imul(data[at + 2]!, w);
      }
      result[out++] = red >> precisionBits;
      result[out++] = green >> precisionBits;
      result[out++] = blue >> precisionBits;
    }
  }
  return result;
}

/** Resampled along y: `rows` holds input rows from `firstRow` on, `line` bytes each; output rows top … top + height − 1. */
function resampleColumns(
  rows: Uint8ClampedArray,
  firstRow: number,
  line: number,
  weights: Weights,
  top: number,
  height: number,
): Uint8ClampedArray {
  const { first, taps, stride, weight } = weights;
  const result = new Uint8ClampedArray(height * line);
  const sums = new Int32Array(line);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    const start = (top + y) * stride;
    let at = (first[top + y]! - firstRow) * line;
    for (let t = 0; t < taps[top + y]!; t++, at += line) {
      const w = weight[start + t]!;
      for (let x = 0; x < line; x++) sums[x]! += Math.imul(rows[at + x]!, w);
    }
    for (let x = 0, out = y * line; x < line; x++) result[out + x] = sums[x]! >> precisionBits;
  }
  return result;
}

/**
 * Bicubic resize, byte for byte as Pillow's `image.crop(source).resize((width, height), BICUBIC)`: antialiased when
 * shrinking, 22-bit fixed-point weights, along x first, rounded to 8 bits between the two passes. Only the
 * `window` of the result is computed (all of it if left out) and returned as RGB rows.
 */
export function resizeBicubic(
  image: RgbImage,
  source: Box,
  width: number,
  height: number,
  window: Box = { left: 0, top: 0, width, height },
): Uint8Array {
  const horizontal = weightsFor(source.width, width);
  const vertical = weightsFor(source.height, height);
  const lastRow = window.top + window.height - 1;
  const fromRow = vertical.first[window.top]!;
  const toRow = vertical.first[lastRow]! + vertical.taps[lastRow]!;
  const strip = {
    left: source.left,
    top: source.top + fromRow,
    width: source.width,
    height: toRow - fromRow,
  };
  const rows = resampleRows(image, strip, horizontal, window.left, window.width);
  const result = resampleColumns(rows, fromRow, window.width * 3, vertical, window.top, window.height);
  return new Uint8Array(result.buffer);
}
