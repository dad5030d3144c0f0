/** What the row-wise kernels are by definition, a row at a time, in float64. */

/** The rows of a matrix, as slices. */
export function rowsOf<T extends Float32Array | Float64Array>(values: T, width: number): T[] {
  return Array.from(
    { length: values.length / width },
    (_, row) => values.slice(row * width, (row + 1) * width) as T,
  );
}

export const sumOf = (values: ArrayLike<number>): number =>
  Array.prototype.reduce.call(values, (a, b) => (a as number) + (b as number), 0) as number;

/** `f` of every row, one after the other. */
export function byRows(
  x: ArrayLike<number>,
  width: number,
  f: (row: Float64Array, index: number) => ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(x.length);
  for (const [i, row] of rowsOf(Float64Array.from(x), width).entries()) out.set(f(row, i), i * width);
  return out;
}

/** γ and β, what is added to the variance, and the gradient of the result for its gradient by x. */
export interface LayerNormRow {
  readonly gamma?: ArrayLike<number> | null;
  readonly beta?: ArrayLike<number> | null;
  readonly eps?: number;
  readonly dy?: ArrayLike<number>;
}

/** Layer norm of a row, its moments, and its gradient by x. */
export function layerNormRow(x: Float64Array, { gamma, beta, eps = 1e-5, dy }: LayerNormRow = {}) {
  const mean = sumOf(x) / x.length;
  const rstd = 1 / Math.sqrt(sumOf(x.map((value) => (value - mean) ** 2)) / x.length + eps);
  const normed = x.map((value) => (value - mean) * rstd);
  const y = normed.map((value, i) => value * (gamma?.[i] ?? 1) + (beta?.[i] ?? 0));
  if (!dy) return { y, dx: new Float64Array(0), mean, rstd };
  const g = normed.map((_, i) => dy[i]! * (gamma?.[i] ?? 1));
  const meanG = sumOf(g) / x.length;
  const meanGx = sumOf(g.map((value, i) => value * normed[i]!)) / x.length;
  const dx = g.map((value, i) => rstd * (value - meanG - normed[i]! * meanGx));
  return { y, dx, mean, rstd };
}

/** log Σ exp(x) of a row. */
export function logSumExp(x: Float64Array): number {
  const largest = Math.max(...x);
  return largest + Math.log(sumOf(x.map((value) => Math.exp(value - largest))));
}

/** Softmax of a row. */
export function softmaxRow(x: Float64Array): Float64Array {
  const total = logSumExp(x);
  return x.map((value) => Math.exp(value - total));
}

/** Gradient of softmax by its input, from its result y. */
export function softmaxRowBackward(y: Float64Array, dy: ArrayLike<number>): Float64Array {
  const sum = sumOf(y.map((value, i) => value * dy[i]!));
  return y.map((value, i) => value * (dy[i]! - sum));
}
