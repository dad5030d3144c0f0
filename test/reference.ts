import { normal } from '../src/common/random.ts';

/** Plain float64 arithmetic on the host, to hold kernels against. */

/** Normal numbers, different for each stream. */
export function randoms(count: number, stream: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => scale * normal(99, stream, i));
}

/** Largest |a - b| as a share of the largest |b|; NaN if the lengths differ or anything is not a number. */
export function errorOf(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let error = 0;
  let largest = 1e-30;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(difference)) return Number.NaN;
    error = Math.max(error, difference);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return error / largest;
}

/** The rows of a matrix, as slices. */
export function rowsOf(values: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width),
  );
}

export const sumOf = (values: ArrayLike<number>): number =>
  Array.prototype.reduce.call(values, (a, b) => (a as number) + (b as number), 0) as number;
