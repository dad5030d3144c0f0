import { extent } from '../../common/extent.ts';
import { isConstant, plcc, rmse } from './correlation.ts';

/** A monotonic curve from predictions to scores, as quality assessment fits it before PLCC and RMSE. */
export interface LogisticFit {
  readonly parameters: readonly number[];
  /** The curve at x. */
  predict(x: number): number;
  /** Of the mapped predictions. */
  readonly plcc: number;
  readonly rmse: number;
}

type Curve = (x: number, p: readonly number[]) => number;

/** VQEG's four-parameter logistic: (a - b) / (1 + exp(-(x - c)/|d|)) + b. */
const four: Curve = (x, p) => {
  const [a, b, c, d] = p as [number, number, number, number];
  return (a - b) / (1 + Math.exp(-(x - c) / Math.abs(d))) + b;
};

/** Sheikh et al.'s five-parameter one (IEEE TIP 2006): a·(1/2 - 1/(1 + exp(b·(x - c)))) + d·x + e. */
const five: Curve = (x, p) => {
  const [a, b, c, d, e] = p as [number, number, number, number, number];
  return a * (0.5 - 1 / (1 + Math.exp(b * (x - c)))) + d * x + e;
};

/** Least squares by Levenberg and Marquardt. For fewer pairs than parameters, or constant predictions, all figures are NaN. */
export function logisticFit(pred: readonly number[], mos: readonly number[], kind: 4 | 5): LogisticFit {
  const curve = kind === 4 ? four : five;
  const [low, high] = extent(mos);
  const center = pred.reduce((a, b) => a + b, 0) / pred.length;
  const spread = Math.sqrt(pred.reduce((sum, x) => sum + (x - center) ** 2, 0) / pred.length);
  const undefinedFit = pred.length <= kind || isConstant(pred) || !(spread > 0);
  const rising = plcc(pred, mos) >= 0;
  const start =
    kind === 4
      ? [rising ? high : low, rising ? low : high, center, spread]
      : [rising ? high - low : low - high, 1 / spread, center, 0, (high + low) / 2];
  const parameters = undefinedFit ? start.map(() => Number.NaN) : leastSquares(curve, pred, mos, start);
  const mapped = pred.map((x) => curve(x, parameters));
  return {
    parameters,
    predict: (x) => curve(x, parameters),
    plcc: plcc(mapped, mos),
    rmse: rmse(mapped, mos),
  };
}

function leastSquares(
  curve: Curve,
  xs: readonly number[],
  ys: readonly number[],
  start: readonly number[],
): number[] {
  let p = [...start];
  let damping = 1e-3;
  let cost = squares(curve, xs, ys, p);
  for (let iteration = 0; iteration < 500; iteration++) {
    const { normal, gradient } = linearize(curve, xs, ys, p);
    const damped = normal.map((row, i) =>
      row.map((value, j) => (i === j ? value * (1 + damping) + 1e-300 : value)),
    );
    const step = solve(damped, gradient);
    const next = p.map((value, i) => value + step[i]!);
    const nextCost = squares(curve, xs, ys, next);
    if (nextCost < cost) {
      const settled = cost - nextCost <= 1e-15 * cost;
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

function squares(curve: Curve, xs: readonly number[], ys: readonly number[], p: readonly number[]): number {
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

/** Gaussian elimination with partial pivoting. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
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
