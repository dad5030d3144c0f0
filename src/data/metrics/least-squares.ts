/** A curve with parameters p. */
export type Curve = (x: number, p: readonly number[]) => number;

/**
 * Least squares by Levenberg and Marquardt (SIAM J. Appl. Math. 11, 1963): the parameters of the minimum that `start` leads to.
 *
 * @param options.tolerance ends it once a step takes off less than this share of the cost
 */
export function leastSquares(
  curve: Curve,
  xs: readonly number[],
  ys: readonly number[],
  start: readonly number[],
  { iterations = 500, tolerance = 1e-15 }: { readonly iterations?: number; readonly tolerance?: number } = {},
): number[] {
  let p = [...start];
  let damping = 1e-3;
  let cost = squares(curve, xs, ys, p);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const { normal, gradient } = linearize(curve, xs, ys, p);
    const damped = normal.map((row, i) =>
      row.map((value, j) => (i === j ? value * (1 + damping) + 1e-300 : value)),
    );
    const step = solve(damped, gradient);
    const next = p.map((value, i) => value + step[i]!);
    const nextCost = squares(curve, xs, ys, next);
    if (nextCost < cost) {
      const settled = cost - nextCost <= tolerance * cost;
      p = next;
      cost = nextCost;
      damping = Math.max(damping / 10, 1e-12);
      if (settled) break;
    } else {
      damping *= 10;
      if (damping > 1e12) break;
    }
  }
  return p;
}

/** The sum of squared residuals, infinite where the curve is not finite. */
export function squares(
  curve: Curve,
  xs: readonly number[],
  ys: readonly number[],
  p: readonly number[],
): number {
  let sum = 0;
  for (let i = 0; i < xs.length; i++) sum += (ys[i]! - curve(xs[i]!, p)) ** 2;
  return Number.isFinite(sum) ? sum : Infinity;
}

/** JᵀJ and Jᵀr with the Jacobian by central differences. */
function linearize(curve: Curve, xs: readonly number[], ys: readonly number[], p: readonly number[]) {
  const n = p.length;
  const normal = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  const gradient = new Array<number>(n).fill(0);
  const steps = p.map((value) => 1e-6 * Math.max(Math.abs(value), 1e-3));
  const shifted = steps.map((step, i) => ({
    step,
    up: p.with(i, p[i]! + step),
    down: p.with(i, p[i]! - step),
  }));
  for (const [k, x] of xs.entries()) {
    const residual = ys[k]! - curve(x, p);
    const slope = shifted.map(({ step, up, down }) => (curve(x, up) - curve(x, down)) / (2 * step));
    for (let i = 0; i < n; i++) {
      gradient[i]! += slope[i]! * residual;
      for (let j = 0; j < n; j++) normal[i]![j]! += slope[i]! * slope[j]!;
    }
  }
  return { normal, gradient };
}

/** Gaussian elimination with partial pivoting; what comes of a singular matrix is not finite. */
export function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let i = column + 1; i < n; i++)
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let i = column + 1; i < n; i++) {
      const factor = rows[i]![column]! / rows[column]![column]!;
      for (let j = column; j <= n; j++) rows[i]![j]! -= factor * rows[column]![j]!;
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = rows[i]![n]!;
    for (let j = i + 1; j < n; j++) sum -= rows[i]![j]! * x[j]!;
    x[i] = sum / rows[i]![i]!;
  }
  return x;
}
