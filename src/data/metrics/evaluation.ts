import { bootstrapIntervals } from './bootstrap.ts';
import { krcc, mae, plcc, rmse, srcc } from './correlation.ts';
import { logisticFit } from './logistic.ts';

/** Correlations and errors of predictions against mean opinion scores; NaN where one is not defined. */
export interface Metrics {
  /** Number of images. */
  readonly n: number;
  /** Spearman's rank correlation. */
  readonly srcc: number;
  /** Pearson's linear correlation. */
  readonly plcc: number;
  /** Kendall's tau-b. */
  readonly krcc: number;
  /** Root mean square error, in the unit of the MOS. */
  readonly rmse: number;
  /** Mean absolute error, in the unit of the MOS. */
  readonly mae: number;
}

/** PLCC and RMSE after the 4- and the 5-parameter logistic. */
export interface LogisticMetrics {
  /** PLCC after the 4-parameter one. */
  readonly plcc4: number;
  /** RMSE after the 4-parameter one, in the unit of the MOS. */
  readonly rmse4: number;
  /** PLCC after the 5-parameter one. */
  readonly plcc5: number;
  /** RMSE after the 5-parameter one, in the unit of the MOS. */
  readonly rmse5: number;
}

/** What {@link evaluate} finds. */
export interface Evaluation {
  /** Of all images. */
  readonly overall: Metrics;
  /** After a rising curve was fitted, as VQEG does. */
  readonly logistic: LogisticMetrics;
  /** By generator, or whatever the groups are; empty without groups. */
  readonly byGroup: Readonly<Record<string, Metrics>>;
  /** Bootstrap 95 % intervals, if asked for. */
  readonly intervals?: Readonly<Record<'srcc' | 'plcc' | 'krcc' | 'rmse', readonly [number, number]>>;
}

/** The figures that one line of a log needs. */
export function metricsOf(pred: readonly number[], mos: readonly number[]): Metrics {
  return {
    n: pred.length,
    srcc: srcc(pred, mos),
    plcc: plcc(pred, mos),
    krcc: krcc(pred, mos),
    rmse: rmse(pred, mos),
    mae: mae(pred, mos),
  };
}

/**
 * Everything a report shows.
 *
 * @param options.groups the group of each image, for figures by group
 * @param options.bootstrap number of resamples for the intervals; 0 for none
 */
export function evaluate(
  pred: readonly number[],
  mos: readonly number[],
  options: { readonly groups?: readonly string[]; readonly bootstrap?: number; readonly seed?: number } = {},
): Evaluation {
  const { groups, bootstrap = 0, seed = 1 } = options;
  const four = logisticFit(pred, mos, 4);
  const five = logisticFit(pred, mos, 5);
  const members = new Map<string, number[]>();
  for (const [i, group] of (groups ?? []).entries()) {
    const list = members.get(group);
    if (list) list.push(i);
    else members.set(group, [i]);
  }
  const byGroup = Object.fromEntries(
    [...members].sort().map(([group, at]) => [
      group,
      metricsOf(
        at.map((i) => pred[i]!),
        at.map((i) => mos[i]!),
      ),
    ]),
  );
  return {
    overall: metricsOf(pred, mos),
    logistic: { plcc4: four.plcc, rmse4: four.rmse, plcc5: five.plcc, rmse5: five.rmse },
    byGroup,
    ...(bootstrap > 0
      ? {
          intervals: bootstrapIntervals({ srcc, plcc, krcc, rmse }, [pred, mos], {
            resamples: bootstrap,
            seed,
          }),
        }
      : {}),
  };
}
