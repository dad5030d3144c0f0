import { expect, it } from 'vitest';
import { maxError } from '../src/common/compare.ts';

it('the largest difference is a share of the largest magnitude expected, wherever either stands', () => {
  expect(maxError([1, 2.5, -8], [1, 2, -8])).toBe(0.5 / 8);
  expect(maxError(Float32Array.of(-3, 0), Float64Array.of(-4, 0))).toBe(0.25);
  expect(maxError([5, 6], [5, 6])).toBe(0);
  expect(maxError([], [])).toBe(0);
});

it('of zeros it is the difference itself', () => {
  expect(maxError([0, -1e-7], [0, 0])).toBe(1e-7);
});

it('is infinite where there is nothing to compare', () => {
  for (const [actual, expected] of [
    [[1], [1, 2]],
    [[1, 2], [1]],
    [[Number.NaN], [1]],
    [[1], [Number.NaN]],
    [[Infinity], [Infinity]],
  ] as const)
    expect(maxError(actual, expected)).toBe(Infinity);
});
