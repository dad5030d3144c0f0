/**
 * How well predictions follow mean opinion scores. All take equally long lists. A correlation of fewer than two pairs or
 * of a constant list is NaN, and so is any figure of numbers among which one is NaN.
 */

/** Pearson's linear correlation (PLCC). */
export function plcc(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  // Asked of the numbers themselves: the rounded mean of equal numbers may differ from them.
  if (isConstant(a) || isConstant(b)) return Number.NaN;
  const meanA = mean(a);
  const meanB = mean(b);
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < n; i++) {
    const x = a[i]! - meanA;
    const y = b[i]! - meanB;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? Number.NaN : ab / Math.sqrt(aa * bb);
}

/** Spearman's rank correlation (SRCC): Pearson's of the ranks, ties sharing their mean rank. */
export function srcc(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return hasNaN(a) || hasNaN(b) ? Number.NaN : plcc(ranks(a), ranks(b));
}

/** Kendall's tau-b (KRCC), by Knight's O(n log n) counting of exchanges (JASA 61, 1966). */
export function krcc(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  if (n < 2 || hasNaN(a) || hasNaN(b)) return Number.NaN;
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i]! - a[j]! || b[i]! - b[j]!);
  const sortedA = Float64Array.from(order, (i) => a[i]!);
  const sortedB = Float64Array.from(order, (i) => b[i]!);
  const pairs = (n * (n - 1)) / 2;
  const tiesA = tiedPairs(n, (i) => sortedA[i] === sortedA[i - 1]);
  const tiesBoth = tiedPairs(n, (i) => sortedA[i] === sortedA[i - 1] && sortedB[i] === sortedB[i - 1]);
  const discordant = exchanges(sortedB);
  const tiesB = tiedPairs(n, (i) => sortedB[i] === sortedB[i - 1]);
  const surplus = pairs - tiesA - tiesB + tiesBoth - 2 * discordant;
  const scale = Math.sqrt(pairs - tiesA) * Math.sqrt(pairs - tiesB);
  return scale === 0 ? Number.NaN : surplus / scale;
}

/** Root mean square error; NaN for none. */
export function rmse(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}

/** Mean absolute error; NaN for none. */
export function mae(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / a.length;
}

/** Whether no number differs from the first. */
export function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}

// NaN has no place in an order, so sorting would give it any rank.
function hasNaN(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Ranks from 1, equal values sharing the mean of theirs. */
function ranks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const result = new Float64Array(n);
  for (let from = 0; from < n; ) {
    let to = from + 1;
    while (to < n && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) result[order[i]!] = (from + to + 1) / 2;
    from = to;
  }
  return result;
}

/** Pairs within runs of a sorted list; `same(i)` says whether entry i belongs to the run of i - 1. */
function tiedPairs(n: number, same: (i: number) => boolean): number {
  let pairs = 0;
  let run = 1;
  for (let i = 1; i <= n; i++) {
    if (i < n && same(i)) run++;
    else {
      pairs += (run * (run - 1)) / 2;
      run = 1;
    }
  }
  return pairs;
}

/** Sorts in place by merging and returns how many pairs stood in the wrong order. */
function exchanges(values: Float64Array): number {
  const n = values.length;
  if (n < 2) return 0;
  const left = values.slice(0, n >> 1);
  const right = values.slice(n >> 1);
  let count = exchanges(left) + exchanges(right);
  for (let i = 0, j = 0, k = 0; k < n; k++) {
    if (j === right.length || (i < left.length && left[i]! <= right[j]!)) values[k] = left[i++]!;
    else {
      values[k] = right[j++]!;
      count += left.length - i;
    }
  }
  return count;
}
