import type { Gpu } from '../device/gpu.ts';
import type { GpuTexture } from '../device/texture-pool.ts';
import { canReadTextures, copyToTexture, isCopyable } from '../matrix-texture.ts';

/** Rows of a constant matrix that is kept in a texture, interleaved, from `row` on. */
export interface InterleavedRows {
  readonly texture: GpuTexture;
  /** A multiple of 8. */
  readonly row: number;
}

/** Rows of a kept matrix whose texels take turns. */
export const interleave = 8;

/**
 * Whether a constant matrix of a linear layer, [rows, length], is better kept in a texture than in a buffer. What it multiplies,
 * on the way forward and back, must then be what the driver copies.
 */
export function packsIntoTexture(gpu: Gpu, rows: number, length: number): boolean {
  const factors = [length, rows].map((inner) => ({ rows: 1, length: inner }));
  return (
    rows % interleave === 0 &&
    canReadTextures(gpu, { rows: rows / interleave, length: length * interleave }, ...factors) &&
    factors.every(isCopyable)
  );
}

/**
 * Puts a constant matrix, [rows, length], into a texture, float32 or the bits of halves: texel k of row n, of four elements along
 * the row, stands at (8k + n % 8, ⌊n / 8⌋). A tile of the product then reads a few streams instead of a row for each of its
 * columns, whichever way it goes through the matrix, and the processor's prefetcher keeps up. The caller releases it.
 */
export function packIntoTexture(
  gpu: Gpu,
  values: Float32Array | Uint16Array,
  rows: number,
  length: number,
): GpuTexture {
  const interleaved = new (values.constructor as Float32ArrayConstructor)(values.length);
  let to = 0;
  for (let top = 0; top < rows; top += interleave)
    for (let k = 0; k < length; k += 4)
      for (let row = top; row < top + interleave; row++)
        for (let at = row * length + k; at < row * length + k + 4; at++) interleaved[to++] = values[at]!;
  const half = values instanceof Uint16Array;
  const buffer = gpu.pool.allocate(interleaved.byteLength);
  try {
    gpu.write(buffer, interleaved);
    return copyToTexture(gpu, buffer, { rows: rows / interleave, length: length * interleave, half });
  } finally {
    gpu.pool.release(buffer);
  }
}
