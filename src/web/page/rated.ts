/** The images that people rated, as far as a page needs them; written by `npm run web`. */
export interface Rated {
  readonly count: number;
  /** Images a bin, the first from 0 on. */
  readonly bins: readonly number[];
  readonly binWidth: number;
  /** The MOS below which 0, 1, …, 100 percent of them lie. */
  readonly percentiles: readonly number[];
  /** Of the scores of unseen images: root mean squared error, number of images. */
  readonly error: { readonly rmse: number; readonly images: number };
}

/** One of the images that come with the page. */
export interface Example {
  readonly file: string;
  readonly name: string;
  /** What people rated it. */
  readonly mos: number;
  /** What the same model scores it in Node. */
  readonly score: number;
}

/** The share of rated images with a lower MOS, from 0 to 1. */
export function placeOf(score: number, { percentiles }: Rated): number {
  const above = percentiles.findIndex((value) => value >= score);
  if (above === -1) return 1;
  if (above === 0) return 0;
  const [low, high] = [percentiles[above - 1]!, percentiles[above]!];
  return (above - 1 + (high > low ? (score - low) / (high - low) : 0)) / (percentiles.length - 1);
}
