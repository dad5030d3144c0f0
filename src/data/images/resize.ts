import type { RgbImage } from './decode.ts';
import { resizePlain } from './resize-plain.ts';
import { simdResizer } from './resize-simd.ts';
import type { Box } from './resize-weights.ts';

export type { Box } from './resize-weights.ts';

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
  const resize = simdResizer();
  return resize
    ? resize.resize(image, source, width, height, window)
    : resizePlain(image, source, width, height, window);
}
