import type { Dataset } from '../data/datasets/index.ts';
import { type CellFigure, cellFigures } from '../data/metrics/cell-bootstrap.ts';
import { plcc, srcc } from '../data/metrics/correlation.ts';
import type { FoldFile } from './fold-files.ts';
import { type Metric, meanOverSeeds, predictionsOf, type RowOfCells } from './rows.ts';

/** How much a line exceeds another evaluation's, on the same images of the same folds. */
export interface PairedRow {
  readonly protocol: RowOfCells['protocol'];
  readonly name: string;
  readonly images: number;
  /** With 95 % intervals of a paired bootstrap: the same draws for both. */
  readonly srcc: CellFigure;
  readonly plcc: CellFigure;
}

export interface PairedRows {
  /** The folder of the other evaluation. */
  readonly against: string;
  readonly rows: readonly PairedRow[];
  /** Lines that the other cannot be compared in, and why. */
  readonly notes: readonly string[];
}

/**
 * Lines of an evaluation less those of another. In each fold the two are compared on the same test images; each metric is a mean over the
 * seeds that either has, and a draw takes both models' predictions of what it draws.
 *
 * @param others the other's finished folds, by the fold's id
 */
export function pairedRows(
  lines: readonly RowOfCells[],
  { samples }: Dataset,
  others: ReadonlyMap<string, readonly FoldFile[]>,
  { against, resamples }: { readonly against: string; readonly resamples: number },
): PairedRows {
  const rows: PairedRow[] = [];
  const notes: string[] = [];
  for (const { protocol, name, unit, cells } of lines) {
    const theirs = cells.map((cell) => {
      const names = cell.samples.map((at) => samples[at]!.name);
      const found = (others.get(cell.fold.id) ?? []).map((file) =>
        sameTest(file, cell.fold.split.test, samples) ? predictionsOf(file, names) : null,
      );
      return found.length === 0 || found.includes(null) ? null : (found as number[][]);
    });
    if (theirs.includes(null)) {
      notes.push(`${name}: ${against} has no folds with the same test images`);
      continue;
    }
    const difference = (metric: Metric) => (cell: number, drawn: Int32Array) => {
      const { mos, predictions } = cells[cell]!;
      return (
        meanOverSeeds(metric, mos, predictions, drawn) - meanOverSeeds(metric, mos, theirs[cell]!, drawn)
      );
    };
    const figures = cellFigures(
      { srcc: difference(srcc), plcc: difference(plcc) },
      cells,
      unit === 'generator' ? 'cells' : 'clusters',
      { resamples },
    );
    rows.push({ protocol, name, images: new Set(cells.flatMap((cell) => cell.samples)).size, ...figures });
  }
  return { against, rows, notes };
}

/** Whether a fold predicts none but these images: a fold of the same number may be of another deal. */
function sameTest({ names }: FoldFile, test: Int32Array, samples: Dataset['samples']): boolean {
  const known = new Set(Array.from(test, (at) => samples[at]!.name));
  return names.every((name) => known.has(name));
}
