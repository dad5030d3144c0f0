import { UserError } from '../../common/errors.ts';
import { permutation, streams } from '../../common/random.ts';
import { MersenneTwister } from './mt19937.ts';

/** Positions in a dataset's `samples`. */
export interface Split {
  readonly train: Int32Array;
  readonly val: Int32Array;
  readonly test: Int32Array;
}

export const emptyPart = new Int32Array(0);

/**
 * scikit-learn's `train_test_split(range(n), test_size, random_state, shuffle=True)`: the first
 * ceil(testSize · n) numbers of the legacy NumPy permutation are the test part, the others, in its order, train.
 * `testSize` in (0, 1) is a fraction, from 1 on a count.
 */
export function trainTestSplit(
  n: number,
  testSize: number,
  randomState: number,
): { train: Int32Array; test: Int32Array } {
  const testCount = testSize < 1 ? Math.ceil(testSize * n) : testSize;
  if (!(testSize > 0) || !Number.isInteger(testCount) || testCount >= n)
    throw new UserError(
      `a test set of ${testSize} of ${n} images leaves none to train on or none to test on`,
      'Choose a fraction between 0 and 1, or a count below the number of images.',
    );
  if (!Number.isInteger(randomState) || randomState < 0 || randomState > 0xffffffff)
    throw new UserError(
      `the split seed ${randomState} is not an integer from 0 to 4294967295`,
      'For example, 42.',
    );
  const order = new MersenneTwister(randomState).permutation(n);
  return { test: order.slice(0, testCount), train: order.slice(testCount) };
}

/** Which of the classes a score falls into; `thresholds` are their exclusive upper bounds, ascending, all but the last's. */
export function classOf(mos: number, thresholds: readonly number[]): number {
  let label = 0;
  while (label < thresholds.length && mos >= thresholds[label]!) label++;
  return label;
}

/**
 * Few-shot training: at most `shots` entries of `part` for each class, drawn by `seed`, in the part's order.
 * `labels[i]` is the class of sample i. A class with fewer images gives what it has.
 */
export function fewShot(
  part: Int32Array,
  labels: ArrayLike<number>,
  shots: number,
  seed: number,
): Int32Array {
  if (!Number.isInteger(shots) || shots < 1)
    throw new UserError(`${shots} shots is not a positive integer`, 'Pass the number of images per class.');
  const taken = new Map<number, number>();
  const chosen = new Uint8Array(part.length);
  for (const at of permutation(part.length, seed, streams.fewShot)) {
    const label = labels[part[at]!]!;
    const count = taken.get(label) ?? 0;
    if (count < shots) {
      taken.set(label, count + 1);
      chosen[at] = 1;
    }
  }
  return part.filter((_, at) => chosen[at] === 1);
}

/**
 * A split cut to `limit` images in all, each part in proportion to its size (largest remainders; a part that
 * has any keeps at least one), chosen as the first of a seeded permutation and kept in the part's order.
 */
export function limitSplit(split: Split, limit: number, seed: number): Split {
  if (!Number.isInteger(limit) || limit < 1)
    throw new UserError(`the limit ${limit} is not a positive integer`, 'Pass the number of images to use.');
  const parts = [split.train, split.val, split.test];
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (limit >= total) return split;
  const filled = parts.filter((part) => part.length > 0).length;
  if (limit < filled)
    throw new UserError(
      `the limit ${limit} is less than the ${filled} sets of the split`,
      'Use a larger limit.',
    );

  const counts = parts.map(({ length }) => {
    const share = (limit * length) / total;
    return { share, count: length > 0 ? Math.max(1, Math.floor(share)) : 0 };
  });
  const taken = () => counts.reduce((sum, { count }) => sum + count, 0);
  const mostOwed = () => counts.toSorted((a, b) => b.share - b.count - (a.share - a.count));
  while (taken() < limit) mostOwed()[0]!.count++;
  while (taken() > limit) mostOwed().findLast(({ count }) => count > 1)!.count--;

  const cut = (p: 0 | 1 | 2) => {
    const part = parts[p]!;
    const chosen = new Uint8Array(part.length);
    const order = permutation(part.length, seed, streams.limit + p);
    for (const at of order.subarray(0, counts[p]!.count)) chosen[at] = 1;
    return part.filter((_, at) => chosen[at] === 1);
  };
  return { train: cut(0), val: cut(1), test: cut(2) };
}
