import { normal } from '../src/common/random.ts';

/** Plain float64 arithmetic on the host, to hold kernels against. */

/** Normal numbers, different for each stream. */
export function randoms(count: number, stream: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => scale * normal(99, stream, i));
}

/** The rows of a matrix, as slices. */
export function rowsOf(values: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width),
  );
}

export const sumOf = (values: ArrayLike<number>): number =>
  Array.prototype.reduce.call(values, (a, b) => (a as number) + (b as number), 0) as number;
