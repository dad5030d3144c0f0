import type { RgbImage } from './decode.ts';
import { type Box, precisionBits, type ResizeWeights, weightsFor } from './resize-weights.ts';

const half = 1 << (precisionBits - 1);

/** Rows top … top + height − 1 of the image, each resampled along x; only columns left … of the result are made. */
function resampleRows(
  image: RgbImage,
  source: Box,
  weights: ResizeWeights,
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
  weights: ResizeWeights,
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

/** As {@link resizeBicubic}, a sample at a time. */
export function resizePlain(
  image: RgbImage,
  source: Box,
  width: number,
  height: number,
  window: Box,
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
