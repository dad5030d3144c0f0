import { uniforms } from '../../common/random.ts';

/** Streams of the counter generator that resamples are drawn from: this base + the resample's number. */
const streamBase = 0x2000;

type Metric = (pred: ArrayLike<number>, mos: ArrayLike<number>) => number;

/**
 * Percentile bootstrap (Efron, 1979): the 95 % intervals of metrics over pairs resampled with replacement, the same
 * resamples for all. Those on which a metric is not defined are left out of its interval, which is NaN if none is left,
 * or if the metric is not defined on the pairs themselves.
 */
export function bootstrapIntervals<Name extends string>(
  metrics: Readonly<Record<Name, Metric>>,
  pred: ArrayLike<number>,
  mos: ArrayLike<number>,
  { resamples = 1000, seed = 1 }: { readonly resamples?: number; readonly seed?: number } = {},
): Record<Name, [number, number]> {
  const each = (Object.entries(metrics) as [Name, Metric][]).map(([name, metric]) => ({
    name,
    metric,
    defined: !Number.isNaN(metric(pred, mos)),
    values: [] as number[],
  }));
  const n = pred.length;
  const a = new Float64Array(n);
  const b = new Float64Array(n);
  for (let r = 0; r < resamples; r++) {
    for (const [i, draw] of uniforms(n, seed, streamBase + r).entries()) {
      const pick = Math.floor(draw * n);
      a[i] = pred[pick]!;
      b[i] = mos[pick]!;
    }
    for (const { metric, defined, values } of each) {
      const value = defined ? metric(a, b) : Number.NaN;
      if (!Number.isNaN(value)) values.push(value);
    }
  }
  return Object.fromEntries(each.map(({ name, values }) => [name, middle95(values)])) as Record<
    Name,
    [number, number]
  >;
}

function middle95(values: number[]): [number, number] {
  values.sort((x, y) => x - y);
  const at = (share: number) =>
    values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
