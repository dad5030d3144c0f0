import { extent } from '../../common/extent.ts';
import { isConstant, plcc, rmse } from './correlation.ts';
import { type Curve, leastSquares, solve, squares } from './least-squares.ts';

/**
 * A rising curve from predictions to scores, as quality assessment fits it before PLCC and RMSE. VQEG ("Final report … on the
 * validation of objective models of video quality assessment, phase II", 2003) and ITU-T P.1401 want it monotonic, so that it takes
 * away only how a model spaces its scores: one that falls would make a model that orders images the wrong way round look right.
 */
export interface LogisticFit {
  readonly parameters: readonly number[];
  /** The curve at x. */
  predict(x: number): number;
  /** Of the mapped predictions: NaN where no rising curve is better than the mean of the scores. */
  readonly plcc: number;
  readonly rmse: number;
}

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

/** Places of the curve's middle among the sorted predictions, and widths in standard deviations of them, that are tried first. */
const places = [0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95];
const widths = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4];
/** How many of the best are followed, and how far; the best of these then to its minimum. */
const followed = 3;
const rough = { iterations: 40, tolerance: 1e-7 };
const exactly = { tolerance: 1e-12 };
/** Share by which the squares have to become less for another minimum to be taken. */
const margin = 1e-9;

/**
 * The rising curve of the least squares found from several starts; the five-parameter one, which contains the four-parameter one,
 * is never the worse. For fewer pairs than parameters, or constant predictions, all figures are NaN.
 */
export function logisticFit(pred: readonly number[], mos: readonly number[], kind: 4 | 5): LogisticFit {
  const curve = kind === 4 ? four : five;
  const parameters = fittedParameters(pred, mos, kind);
  const mapped = pred.map((x) => curve(x, parameters));
  return {
    parameters,
    predict: (x) => curve(x, parameters),
    plcc: plcc(mapped, mos),
    rmse: rmse(mapped, mos),
  };
}

function fittedParameters(pred: readonly number[], mos: readonly number[], kind: 4 | 5): readonly number[] {
  const center = mean(pred);
  const spread = Math.sqrt(mean(pred.map((x) => (x - center) ** 2)));
  if (pred.length <= kind || isConstant(pred) || !(spread > 0))
    return new Array<number>(kind).fill(Number.NaN);
  if (kind === 5) {
    const [a, b, c, d] = fittedParameters(pred, mos, 4) as [number, number, number, number];
    const contained = [a - b, 1 / Math.abs(d), c, 0, (a + b) / 2];
    return best(five, pred, mos, [contained, ...gridStarts(pred, mos, spread, true)], contained);
  }
  const [low, high] = extent(mos);
  const usual = leastSquares(four, pred, mos, [high, low, center, spread]);
  const level = mean(mos);
  const flat = [level, level, center, spread];
  const fallback = isRising(four, pred, usual) ? usual : flat;
  return best(four, pred, mos, gridStarts(pred, mos, spread, false), fallback);
}

/** The best rising minimum that the starts lead to; `fallback` unless it is clearly better. */
function best(
  curve: Curve,
  pred: readonly number[],
  mos: readonly number[],
  starts: readonly (readonly number[])[],
  fallback: readonly number[],
): readonly number[] {
  let found: readonly number[] | undefined;
  let least = squares(curve, pred, mos, fallback) * (1 - margin);
  for (const start of starts) {
    const parameters = leastSquares(curve, pred, mos, start, rough);
    const cost = squares(curve, pred, mos, parameters);
    if (!(cost < least) || !isRising(curve, pred, parameters)) continue;
    found = parameters;
    least = cost;
  }
  if (!found) return fallback;
  const exact = leastSquares(curve, pred, mos, found, exactly);
  return isRising(curve, pred, exact) ? exact : found;
}

/** Whether the curve keeps the predictions' order on the whole: a five-parameter one may bend back where there is a single image. */
const isRising = (curve: Curve, pred: readonly number[], parameters: readonly number[]) =>
  plcc(
    pred,
    pred.map((x) => curve(x, parameters)),
  ) > 0;

/**
 * Starts by variable projection (Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973): with middle and width of the curve given, its
 * other parameters are a linear regression. `slope`: the five-parameter curve.
 */
function gridStarts(
  pred: readonly number[],
  mos: readonly number[],
  spread: number,
  slope: boolean,
): number[][] {
  const sorted = [...pred].sort((x, y) => x - y);
  const tried = places.flatMap((place) =>
    widths.map((width) => {
      const c = sorted[Math.round(place * (sorted.length - 1))]!;
      const d = width * spread;
      const rise = pred.map((x) => 1 / (1 + Math.exp(-(x - c) / d)));
      const [base, height, along = 0] = regression(slope ? [rise, pred] : [rise], mos);
      const parameters = slope
        ? [height!, 1 / d, c, along, base! + height! / 2]
        : [base! + height!, base!, c, d];
      return { parameters, cost: squares(slope ? five : four, pred, mos, parameters) };
    }),
  );
  tried.sort((one, other) => one.cost - other.cost);
  return tried.slice(0, followed).map(({ parameters }) => parameters);
}

/** Intercept and coefficients of the linear least squares. */
function regression(columns: readonly (readonly number[])[], ys: readonly number[]): number[] {
  const all = [ys.map(() => 1), ...columns];
  const dot = (u: readonly number[], v: readonly number[]) => u.reduce((sum, x, i) => sum + x * v[i]!, 0);
  return solve(
    all.map((u) => all.map((v) => dot(u, v))),
    all.map((u) => dot(u, ys)),
  );
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
