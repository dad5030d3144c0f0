import { uniform } from '../common/random.ts';

/** Streams of the counter generator that resamples are drawn from: this base + the resample's number. */
const streamBase = 0x2000;

/**
 * Percentile bootstrap (Efron, 1979): the 95 % interval of a metric over pairs resampled with replacement. Resamples on
 * which the metric is not defined are left out; NaN if none is left, or if it is not defined on the pairs themselves.
 */
export function bootstrapInterval(
  metric: (pred: ArrayLike<number>, mos: ArrayLike<number>) => number,
  pred: ArrayLike<number>,
  mos: ArrayLike<number>,
  { resamples = 1000, seed = 1 }: { readonly resamples?: number; readonly seed?: number } = {},
): [number, number] {
  if (Number.isNaN(metric(pred, mos))) return [Number.NaN, Number.NaN];
  const n = pred.length;
  const values: number[] = [];
  const a = new Float64Array(n);
  const b = new Float64Array(n);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < n; i++) {
      const pick = Math.floor(uniform(seed, streamBase + r, i) * n);
      a[i] = pred[pick]!;
      b[i] = mos[pick]!;
    }
    const value = metric(a, b);
    if (!Number.isNaN(value)) values.push(value);
  }
  values.sort((x, y) => x - y);
  const at = (share: number) =>
    values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
