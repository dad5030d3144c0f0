/** Errors of predictions of images that were not trained on, and how much the members of an ensemble differed on them. */
export interface HeldOutErrors {
  /** Prediction - MOS. */
  readonly errors: readonly number[];
  /** Standard deviation over members, 0 of a head alone. */
  readonly spreads: readonly number[];
}

/** The standard deviation that a score's error has: √(base + factor · spread²), in the unit of the MOS. */
export interface ErrorModel {
  readonly base: number;
  readonly factor: number;
}

/** The standard deviation of the error of a score. */
export const errorDeviation = ({ base, factor }: ErrorModel, spread: number): number =>
  Math.sqrt(base + factor * spread ** 2);

/** So often are squared errors weighed anew by what is known of how widely they vary. */
const passes = 10;

/**
 * Least squares of squared errors by squared spreads, with neither part below 0. Squared errors vary as the square of what is expected of them, so
 * each is weighed by its inverse: else a few large ones would decide what is said of the many.
 */
export function fitErrorModel({ errors, spreads }: HeldOutErrors): ErrorModel {
  const squares = errors.map((error) => error ** 2);
  const variances = spreads.map((spread) => spread ** 2);
  let model = weightedFit(squares, variances, () => 1);
  const tiny = 1e-6 * (model.base + model.factor * Math.max(...variances));
  for (let pass = 0; pass < passes; pass++) {
    const { base, factor } = model;
    model = weightedFit(squares, variances, (variance) => 1 / (tiny + base + factor * variance) ** 2);
  }
  return model;
}

function weightedFit(
  squares: readonly number[],
  variances: readonly number[],
  weightOf: (variance: number) => number,
): ErrorModel {
  const weights = variances.map(weightOf);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value, i) => sum + weights[i]! * value, 0) / total;
  const [meanSquare, meanVariance] = [mean(squares), mean(variances)];
  const covariance = mean(squares.map((value, i) => (value - meanSquare) * (variances[i]! - meanVariance)));
  const variance = mean(variances.map((value) => (value - meanVariance) ** 2));
  const slope = variance > 0 ? Math.max(0, covariance / variance) : 0;
  // Where the slope would take the base below 0, errors are taken to be proportional to spreads.
  const factor = meanVariance > 0 ? Math.min(slope, meanSquare / meanVariance) : 0;
  return { base: Math.max(0, meanSquare - factor * meanVariance), factor };
}

/** One line of a reliability table: scores of like doubt, and how far off they were. */
export interface ReliabilityRow {
  readonly n: number;
  /** Root of the mean square: of what was stated, and of the errors. */
  readonly stated: number;
  readonly observed: number;
  /** Share of errors within 1.96 of the stated standard deviations; 0.95 of normal errors. */
  readonly covered: number;
}

/** Images in the order of their stated doubt, in `bins` parts of equal number. */
export function reliabilityTable(
  { errors, spreads }: HeldOutErrors,
  model: ErrorModel,
  bins = 5,
): readonly ReliabilityRow[] {
  const stated = spreads.map((spread) => errorDeviation(model, spread));
  const order = [...stated.keys()].sort((a, b) => stated[a]! - stated[b]! || a - b);
  const root = (values: readonly number[]) =>
    Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
  return Array.from({ length: Math.min(bins, order.length) }, (_, bin) => {
    const part = order.slice(
      Math.floor((bin * order.length) / bins),
      Math.floor(((bin + 1) * order.length) / bins),
    );
    return {
      n: part.length,
      stated: root(part.map((at) => stated[at]!)),
      observed: root(part.map((at) => errors[at]!)),
      covered: part.filter((at) => Math.abs(errors[at]!) <= 1.96 * stated[at]!).length / part.length,
    };
  }).filter(({ n }) => n > 0);
}

/** How far a feature is from the training images' mean: root of the mean square of its standardized numbers, about 1 for one of them. */
export function featureDistance(
  feature: Float32Array,
  { mean, std }: { readonly mean: Float32Array; readonly std: Float32Array },
): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < feature.length; i++) {
    if (!(std[i]! > 0)) continue;
    sum += ((feature[i]! - mean[i]!) / std[i]!) ** 2;
    count++;
  }
  return Math.sqrt(sum / Math.max(1, count));
}

/** The 0th to 100th percentile of distances. */
export function percentiles(distances: readonly number[]): Float32Array {
  const sorted = [...distances].sort((a, b) => a - b);
  return Float32Array.from({ length: 101 }, (_, p) => sorted[Math.round((p / 100) * (sorted.length - 1))]!);
}

/** The share of training images that are nearer, 0 to 1. */
export function shareNearer(distance: number, quantiles: Float32Array): number {
  const above = quantiles.findIndex((value) => value >= distance);
  return above < 0 ? 1 : above / (quantiles.length - 1);
}
