import { srcc } from '../data/metrics/correlation.ts';

/** Maps of an image that are compared, by what they are made of. */
export const compared = ['relevance', 'occlusion', 'rollout', 'attention'] as const;
export type Compared = (typeof compared)[number];

/** Of one image: how the regions that a map puts first agree with those that Shapley values do. */
export interface Agreement {
  /** Spearman's rank correlations, from -1 to 1; NaN where a map is the same everywhere. */
  readonly maps: Readonly<Record<Compared, number>>;
  /** Of the two halves of the Shapley values with each other. */
  readonly halves: number;
}

/** @param maps by region */
export function agreementOf(
  maps: Readonly<Record<Compared, ArrayLike<number>>>,
  {
    values,
    halves,
  }: { readonly values: ArrayLike<number>; readonly halves: readonly [ArrayLike<number>, ArrayLike<number>] },
): Agreement {
  const agree = (name: Compared) => srcc(maps[name], values);
  return {
    maps: Object.fromEntries(compared.map((name) => [name, agree(name)])) as Record<Compared, number>,
    halves: srcc(...halves),
  };
}

/** Over all images. */
export interface MeanAgreement {
  readonly images: number;
  /** Mean rank correlations with Shapley values. */
  readonly maps: Readonly<Record<Compared, number>>;
  /** The largest a map could reach: Shapley values are estimates, and this is the reliability of their ranks (Spearman and Brown). */
  readonly reliability: number;
  /** `maps` without the noise of the estimates: divided by the root of the reliability (Spearman, 1904). */
  readonly corrected: Readonly<Record<Compared, number>>;
}

export function meanAgreement(all: readonly Agreement[]): MeanAgreement {
  const mean = (of: (one: Agreement) => number) => {
    const found = all.map(of).filter((value) => !Number.isNaN(value));
    return found.reduce((sum, value) => sum + value, 0) / found.length;
  };
  const halves = mean(({ halves }) => halves);
  const reliability = (2 * halves) / (1 + halves);
  const each = (of: (name: Compared) => number) =>
    Object.fromEntries(compared.map((name) => [name, of(name)])) as Record<Compared, number>;
  const maps = each((name) => mean((one) => one.maps[name]));
  return {
    images: all.length,
    maps,
    reliability,
    // Nothing can be said of what is held against noise alone.
    corrected: each((name) => (reliability > 0 ? maps[name] / Math.sqrt(reliability) : Number.NaN)),
  };
}
