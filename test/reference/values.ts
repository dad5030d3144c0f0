/** Values to try kernels on. */
import { normals, uniform, uniforms } from '../../src/common/random.ts';

/** Normal numbers, different for each stream. */
export function randoms(count: number, stream: number, scale = 1): Float32Array {
  return Float32Array.from(normals(count, 99, stream), (value) => scale * value);
}

/** Numbers in [-1, 1), different for each stream. */
export function uniformRandoms(count: number, stream: number): Float32Array {
  return Float32Array.from(uniforms(count, 99, stream), (draw) => 2 * draw - 1);
}

/** Whole numbers from 0 to below `below`, one a call. */
export function randomIntegers(stream: number): (below: number) => number {
  let draws = 0;
  return (below) => Math.floor(uniform(99, stream, draws++) * below);
}

/** Values that halves hold exactly, ±(1 + j/1024)/2, and their bits, padded to whole words. */
export function exactHalves(count: number): { values: Float32Array; bits: Uint16Array } {
  const values = new Float32Array(count);
  const bits = new Uint16Array(count + (count % 2));
  for (let i = 0; i < count; i++) {
    const fraction = (i * 389) % 1024;
    const negative = (i * 7) % 3 === 0;
    values[i] = ((negative ? -1 : 1) * (1 + fraction / 1024)) / 2;
    bits[i] = (negative ? 0x8000 : 0) | (14 << 10) | fraction;
  }
  return { values, bits };
}
