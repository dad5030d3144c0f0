import { bootstrapIntervals, type Statistic } from './bootstrap.ts';
import { krcc, plcc, rmse, srcc } from './correlation.ts';

/** The metrics that are compared. */
export type PairedMetric = 'srcc' | 'plcc' | 'krcc' | 'rmse';

/** How much one model's metric exceeds another's on the same images. */
export interface PairedDifference {
  /** The model's less the baseline's. */
  readonly difference: number;
  /** Bootstrap 95 % interval: if it holds no 0, the difference is more than the choice of images. */
  readonly interval: readonly [number, number];
}

/**
 * Metrics of one model's predictions less those of a baseline's, over the same images: each resample draws images, and takes
 * both models' predictions of them (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 8).
 */
export function pairedDifferences(
  predictions: ArrayLike<number>,
  baseline: ArrayLike<number>,
  mos: ArrayLike<number>,
  options: { readonly resamples?: number; readonly seed?: number } = {},
): Record<PairedMetric, PairedDifference> {
  const columns = [predictions, baseline, mos];
  const statistics = {
    srcc: differenceOf(srcc),
    plcc: differenceOf(plcc),
    krcc: differenceOf(krcc),
    rmse: differenceOf(rmse),
  };
  const intervals = bootstrapIntervals(statistics, columns, options);
  const paired = (name: PairedMetric) => ({
    difference: statistics[name](predictions, baseline, mos),
    interval: intervals[name],
  });
  return { srcc: paired('srcc'), plcc: paired('plcc'), krcc: paired('krcc'), rmse: paired('rmse') };
}

const differenceOf =
  (metric: typeof srcc): Statistic =>
  (a, b, mos) =>
    metric(a!, mos!) - metric(b!, mos!);
