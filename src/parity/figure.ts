import { maxError } from '../common/compare.ts';

/** One comparison with a reference figure. `error` and `tolerance` share a unit, named in `measure`. */
export interface Figure {
  readonly what: string;
  readonly error: number;
  readonly tolerance: number;
  /** `of max`: largest difference as a share of the reference's largest value; `relative`, `absolute`, `differences` (a count). */
  readonly measure: 'of max' | 'relative' | 'absolute' | 'differences' | '1 - cosine';
  readonly ok: boolean;
}

/** What a check yields: a figure, or a part of the reference that is not there. */
export type Result = Figure | { readonly what: string; readonly missing: true };

export type Results = AsyncGenerator<Result, void, undefined>;

export function figure(what: string, error: number, tolerance: number, measure: Figure['measure']): Figure {
  // Written so that NaN fails.
  return { what, error, tolerance, measure, ok: error <= tolerance };
}

export const missing = (what: string): Result => ({ what, missing: true });

/** Largest |a - b| / |b|. */
export function maxRelativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    const relative = Math.abs(actual[i]! - expected[i]!) / Math.max(Math.abs(expected[i]!), 1e-30);
    if (Number.isNaN(relative)) return Number.NaN;
    error = Math.max(error, relative);
  }
  return error;
}

export function ofMax(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): Figure {
  return figure(what, maxError(actual, expected), tolerance, 'of max');
}

/** 1 - the smallest cosine between corresponding rows of `width`. */
export function cosine(
  what: string,
  actual: Float32Array,
  expected: Float32Array,
  width: number,
  tolerance: number,
): Figure {
  let worst = 0;
  for (let row = 0; row < expected.length; row += width) {
    let ab = 0;
    let aa = 0;
    let bb = 0;
    for (let i = row; i < row + width; i++) {
      ab += actual[i]! * expected[i]!;
      aa += actual[i]! ** 2;
      bb += expected[i]! ** 2;
    }
    const distance = 1 - ab / Math.sqrt(aa * bb);
    worst = Number.isNaN(distance) ? Number.NaN : Math.max(worst, distance);
  }
  return figure(what, worst, tolerance, '1 - cosine');
}
