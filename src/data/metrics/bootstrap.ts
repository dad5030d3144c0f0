import { streams, uniforms } from '../../common/random.ts';

/** A figure of some columns of numbers, all equally long. */
export type Statistic = (...columns: ArrayLike<number>[]) => number;

/**
 * Percentile bootstrap (Efron, 1979): the 95 % intervals of statistics over rows resampled with replacement, the same
 * resamples for all, so that differences are paired. Those on which a statistic is not defined are left out of its interval,
 * which is NaN if none is left, or if the statistic is not defined on the rows themselves.
 *
 * @param columns what the statistics are of, such as predictions and scores: row i is image i in each
 */
export function bootstrapIntervals<Name extends string>(
  statistics: Readonly<Record<Name, Statistic>>,
  columns: readonly ArrayLike<number>[],
  { resamples = 1000, seed = 1 }: { readonly resamples?: number; readonly seed?: number } = {},
): Record<Name, [number, number]> {
  const each = (Object.entries(statistics) as [Name, Statistic][]).map(([name, statistic]) => ({
    name,
    statistic,
    defined: !Number.isNaN(statistic(...columns)),
    values: [] as number[],
  }));
  const n = columns[0]?.length ?? 0;
  const drawn = columns.map(() => new Float64Array(n));
  for (let r = 0; r < resamples; r++) {
    for (const [i, draw] of uniforms(n, seed, streams.bootstrap + r).entries()) {
      const pick = Math.floor(draw * n);
      for (const [c, column] of columns.entries()) drawn[c]![i] = column[pick]!;
    }
    for (const { statistic, defined, values } of each) {
      const value = defined ? statistic(...drawn) : Number.NaN;
      if (!Number.isNaN(value)) values.push(value);
    }
  }
  return Object.fromEntries(each.map(({ name, values }) => [name, middle95(values)])) as Record<
    Name,
    [number, number]
  >;
}

/** The 2.5 and the 97.5 percentile of values, which are sorted in place; NaN of none. */
export function middle95(values: number[]): [number, number] {
  values.sort((x, y) => x - y);
  const at = (share: number) =>
    values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
