/**
 * The largest difference as a share of the largest magnitude expected; of nothing but zeros, the difference itself. Infinite where
 * the lengths differ or anything is not a number, so that it is below no tolerance.
 */
export function maxError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let error = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? Number.NaN;
    const difference = Math.abs((actual[i] ?? Number.NaN) - wanted);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    error = Math.max(error, difference);
    largest = Math.max(largest, Math.abs(wanted));
  }
  return largest === 0 ? error : error / largest;
}
