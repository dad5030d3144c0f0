/** Mean and standard deviation of each column of a table; of n values, the divisor of the variance is n. */
export interface Statistics<Values = Float64Array> {
  readonly mean: Values;
  readonly std: Values;
}

/** The statistics of a table of `width` columns, given as arrays of one or several rows each. */
export function columnStatistics(rows: Iterable<ArrayLike<number>>, width: number): Statistics {
  const all = [...rows];
  const count = all.reduce((sum, { length }) => sum + length, 0) / width;
  const mean = columnSums(all, width, (value) => value).map((sum) => sum / count);
  const squares = columnSums(all, width, (value, column) => (value - mean[column]!) ** 2);
  return { mean, std: squares.map((sum) => Math.sqrt(sum / count)) };
}

function columnSums(
  rows: readonly ArrayLike<number>[],
  width: number,
  of: (value: number, column: number) => number,
): Float64Array {
  const sums = new Float64Array(width);
  for (const row of rows) for (let i = 0; i < row.length; i++) sums[i % width]! += of(row[i]!, i % width);
  return sums;
}

/** What standardizing divides by: a column that never varies tells nothing, so it becomes 0, not NaN. */
export const divisor = (std: number): number => std || 1;

/** A value shifted and scaled as its column has to be for mean 0 and standard deviation 1. */
export const standardized = (value: number, mean: number, std: number): number =>
  (value - mean) / divisor(std);
