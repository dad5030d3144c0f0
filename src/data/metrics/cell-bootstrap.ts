import { streams, uniforms } from '../../common/random.ts';
import { middle95 } from './bootstrap.ts';

/** Images that a figure is computed over as one: a fold's test part, or one generator's images in it. */
export interface Cell {
  /** Of the cell's figure in the mean; the weights of all cells add up to 1. */
  readonly weight: number;
  /** Rows, numbered from 0 in each cell, that are drawn together: the images of one prompt; or each image by itself. */
  readonly clusters: readonly Int32Array[];
}

/** A weighted mean over cells with its bootstrap 95 % interval. */
export interface CellFigure {
  readonly value: number;
  readonly interval: readonly [number, number];
}

/** A figure of some rows of a cell, in which a row may occur several times. */
export type FigureOfRows = (cell: number, rows: Int32Array) => number;

/**
 * Weighted means of figures over cells, with percentile bootstrap intervals (Efron 1979) whose unit is not the image: with
 * `clusters`, each cell's clusters are drawn with replacement and the figure is computed again, so that images of one prompt count as
 * one draw (the cluster bootstrap: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8); with `cells`, whole cells
 * are drawn, as where each cell is a generator and the question is of other generators. The draws are the same for all figures, so
 * a figure that is a difference of two models is paired.
 */
export function cellFigures<Name extends string>(
  figures: Readonly<Record<Name, FigureOfRows>>,
  cells: readonly Cell[],
  unit: 'cells' | 'clusters',
  { resamples = 1000, seed = 1 }: { readonly resamples?: number; readonly seed?: number } = {},
): Record<Name, CellFigure> {
  const names = Object.keys(figures) as Name[];
  const all = cells.map(({ clusters }) =>
    Int32Array.from(clusters.flatMap((rows) => [...rows])).sort((a, b) => a - b),
  );
  const own = names.map((name) => all.map((rows, cell) => figures[name](cell, rows)));
  const weights = cells.map(({ weight }) => weight);
  const values = own.map((each) => weightedMean(each, weights));
  const drawn: number[][] = names.map(() => []);
  const units =
    unit === 'cells' ? cells.length : cells.reduce((sum, { clusters }) => sum + clusters.length, 0);
  for (let r = 0; r < resamples; r++) {
    const draws = uniforms(units, seed, streams.bootstrap + r);
    const means =
      unit === 'cells'
        ? drawCells(own, weights, draws)
        : drawClusters(
            names.map((n) => figures[n]),
            cells,
            draws,
          );
    for (const [i, mean] of means.entries()) if (!Number.isNaN(mean)) drawn[i]!.push(mean);
  }
  const entries = names.map((name, i): [Name, CellFigure] => {
    // One cell drawn again and again tells nothing of others.
    const known = !Number.isNaN(values[i]) && (unit === 'clusters' || cells.length > 1);
    return [name, { value: values[i]!, interval: middle95(known ? drawn[i]! : []) }];
  });
  return Object.fromEntries(entries) as Record<Name, CellFigure>;
}

function weightedMean(values: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return total > 0 ? values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / total : Number.NaN;
}

function drawCells(
  own: readonly (readonly number[])[],
  weights: readonly number[],
  draws: Float64Array,
): number[] {
  const picks = Array.from(draws, (draw) => Math.floor(draw * draws.length));
  const picked = picks.map((pick) => weights[pick]!);
  return own.map((values) =>
    weightedMean(
      picks.map((pick) => values[pick]!),
      picked,
    ),
  );
}

function drawClusters(
  figures: readonly FigureOfRows[],
  cells: readonly Cell[],
  draws: Float64Array,
): number[] {
  const sums = figures.map(() => 0);
  let at = 0;
  let total = 0;
  for (const [cell, { clusters, weight }] of cells.entries()) {
    const rows: number[] = [];
    for (let i = 0; i < clusters.length; i++)
      for (const row of clusters[Math.floor(draws[at++]! * clusters.length)]!) rows.push(row);
    const picked = Int32Array.from(rows);
    for (const [f, figure] of figures.entries()) sums[f]! += weight * figure(cell, picked);
    total += weight;
  }
  return sums.map((sum) => sum / total);
}
