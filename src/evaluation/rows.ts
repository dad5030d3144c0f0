import { type Dataset, groupingOf } from '../data/datasets/index.ts';
import { type Cell, type CellFigure, cellFigures } from '../data/metrics/cell-bootstrap.ts';
import { krcc, plcc, rmse, srcc } from '../data/metrics/correlation.ts';
import { logisticFit } from '../data/metrics/logistic.ts';
import { meanAndStd } from '../training/seeds.ts';
import type { FoldFile } from './fold-files.ts';
import type { Fold } from './folds.ts';
import { type GeneratorUnit, generatorOf, generatorsOf, type Protocol } from './protocols.ts';
import type { Outcome, Sweep } from './sweep.ts';

/** What a bootstrap draws: the reach of an interval. `generator` stands for whatever the dataset is grouped by. */
export type Unit = 'image' | 'prompt' | 'generator';

/** Images that are measured together: a fold's test part, or one generator's in it. */
export interface MeasuredCell extends Cell {
  /** The fold, or the generator. */
  readonly label: string;
  readonly fold: Fold;
  /** By row, the image's place in the dataset, and its score. */
  readonly samples: readonly number[];
  readonly mos: readonly number[];
  /** A list of predictions a seed. */
  readonly predictions: readonly (readonly number[])[];
}

/** A line of the table. */
export interface RowOfCells {
  readonly protocol: Protocol;
  readonly name: string;
  readonly unit: Unit;
  readonly cells: readonly MeasuredCell[];
}

/** The figures of a line: means over its cells and seeds, each a cell's own metric. */
export interface EvaluationRow {
  readonly protocol: Protocol;
  readonly name: string;
  /** Test images, each counted once. */
  readonly images: number;
  readonly folds: number;
  readonly seeds: number;
  readonly unit: Unit;
  readonly srcc: CellFigure;
  readonly plcc: CellFigure;
  readonly krcc: number;
  /** In MOS units; NaN where another dataset has other units. */
  readonly rmse: number;
  /** PLCC after the four-parameter logistic, whose parameters are fitted on the test images. */
  readonly plccLogistic: number;
  /** Sample standard deviation of the SRCC over seeds; NaN for one. */
  readonly seedStd: number;
  /** SRCC of each fold or generator, means over folds and seeds. */
  readonly parts: readonly { readonly label: string; readonly images: number; readonly srcc: number }[];
}

/** The lines of the table that a sweep fills. */
export function rowsOf({ dataset, outcomes, chosen }: Sweep, generators: GeneratorUnit): RowOfCells[] {
  const rows: RowOfCells[] = [];
  const has = (protocol: Protocol) => chosen.includes(protocol);
  const of = (protocol: Fold['protocol']) =>
    byFold(outcomes.filter(({ fold }) => fold.protocol === protocol));
  const add = (
    protocol: Protocol,
    name: string,
    unit: Unit,
    groups: readonly Outcome[][],
    apart?: GeneratorUnit,
  ) => {
    const cells = apart ? within(groups, dataset, apart) : whole(groups, dataset, unit);
    if (cells.length > 0) rows.push({ protocol, name, unit, cells });
  };
  const group = groupingOf(dataset);
  if (has('published')) add('published', 'published split', 'image', of('published'));
  if (has('prompt')) add('prompt', 'unseen prompts', 'prompt', of('prompt'));
  if (has('generator')) add('generator', `unseen ${group}`, 'generator', of('generator'));
  if (has('within')) {
    add('within', `within a ${group}, published split`, 'prompt', of('published'), generators);
    add('within', `within a ${group}, unseen prompts`, 'prompt', of('prompt'), generators);
  }
  if (has('cross')) add('cross', 'another dataset', 'prompt', of('cross'));
  if (has('few')) {
    const few = of('few');
    for (const label of new Set(few.map(([first]) => first!.fold.label)))
      add(
        'few',
        label,
        'image',
        few.filter(([first]) => first!.fold.label === label),
      );
  }
  // Of images without prompts each is a unit by itself.
  return rows.map((row) =>
    row.unit === 'prompt' && !row.cells.some(clustered) ? { ...row, unit: 'image' } : row,
  );
}

const clustered = ({ clusters, samples }: MeasuredCell) => clusters.length < samples.length;

/** The seeds of each fold together. */
function byFold(outcomes: readonly Outcome[]): Outcome[][] {
  const groups = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const { protocol, label } = outcome.fold;
    const key = JSON.stringify([protocol, label]);
    groups.set(key, [...(groups.get(key) ?? []), outcome]);
  }
  return [...groups.values()];
}

/** Each fold a cell of the same weight. */
function whole(groups: readonly Outcome[][], dataset: Dataset, unit: Unit): MeasuredCell[] {
  return groups.map((seeds) =>
    cellOf(seeds, testedBy(seeds, dataset), dataset, {
      label: seeds[0]!.fold.label,
      weight: 1 / groups.length,
      byPrompt: unit === 'prompt',
    }),
  );
}

/** Each generator's images of each fold a cell; generators have the same weight, however many folds they are tested in. */
function within(groups: readonly Outcome[][], dataset: Dataset, generators: GeneratorUnit): MeasuredCell[] {
  const parts = groups.flatMap((seeds) => {
    const tested = testedBy(seeds, dataset);
    const names = generatorsOf(
      tested.map((at) => dataset.samples[at]),
      generators,
    );
    return names.map((name) => ({
      seeds,
      name,
      tested: tested.filter((at) => generatorOf(dataset.samples[at]!, generators) === name),
    }));
  });
  const counts = new Map<string, number>();
  for (const { name } of parts) counts.set(name, (counts.get(name) ?? 0) + 1);
  return parts.map(({ seeds, name, tested }) =>
    cellOf(seeds, tested, dataset, {
      label: name,
      weight: 1 / (counts.size * counts.get(name)!),
      byPrompt: true,
    }),
  );
}

/** The test images of a fold that all seeds could read. */
function testedBy(seeds: readonly Outcome[], { samples }: Dataset): number[] {
  const known = seeds.map(({ file }) => new Set(file.names));
  return [...seeds[0]!.fold.split.test].filter((at) => known.every((names) => names.has(samples[at]!.name)));
}

function cellOf(
  seeds: readonly Outcome[],
  tested: readonly number[],
  { samples }: Dataset,
  {
    label,
    weight,
    byPrompt,
  }: { readonly label: string; readonly weight: number; readonly byPrompt: boolean },
): MeasuredCell {
  const clusters = new Map<string, number[]>();
  for (const [row, at] of tested.entries()) {
    const { content } = samples[at]!;
    const key = byPrompt && content !== undefined ? content : `image ${at}`;
    clusters.set(key, [...(clusters.get(key) ?? []), row]);
  }
  const names = tested.map((at) => samples[at]!.name);
  return {
    label,
    weight,
    fold: seeds[0]!.fold,
    samples: tested,
    mos: tested.map((at) => samples[at]!.mos),
    predictions: seeds.map(({ file }) => predictionsOf(file, names)!),
    clusters: [...clusters.values()].map((rows) => Int32Array.from(rows)),
  };
}

/** A fold's predictions of these images; null if it lacks any. */
export function predictionsOf({ names, predictions }: FoldFile, wanted: readonly string[]): number[] | null {
  const places = new Map(names.map((name, i) => [name, i]));
  const found = wanted.map((name) => predictions[places.get(name) ?? -1]);
  return found.includes(undefined) ? null : (found as number[]);
}

export type Metric = typeof srcc;

/** The mean over seeds of a metric, over some rows. */
export function meanOverSeeds(
  metric: Metric,
  mos: readonly number[],
  predictions: readonly (readonly number[])[],
  rows: Int32Array,
): number {
  const scores = Float64Array.from(rows, (row) => mos[row]!);
  const sum = predictions.reduce(
    (total, list) =>
      total +
      metric(
        Float64Array.from(rows, (row) => list[row]!),
        scores,
      ),
    0,
  );
  return sum / predictions.length;
}

/** What a bootstrap drew, in words. */
export const unitText = ({ unit }: Pick<EvaluationRow, 'unit'>, grouping: string): string =>
  unit === 'generator' ? grouping : unit;

const unitOf = (unit: Unit) => (unit === 'generator' ? 'cells' : 'clusters');

/** Measures a line. */
export function measure(row: RowOfCells, { resamples }: { readonly resamples: number }): EvaluationRow {
  const { protocol, name, unit, cells } = row;
  const of = (metric: Metric) => (cell: number, rows: Int32Array) =>
    meanOverSeeds(metric, cells[cell]!.mos, cells[cell]!.predictions, rows);
  const drawn = cellFigures({ srcc: of(srcc), plcc: of(plcc) }, cells, unitOf(unit), { resamples });
  const mean = (metric: (cell: MeasuredCell) => number) =>
    cells.reduce((sum, cell) => sum + cell.weight * metric(cell), 0);
  const seeds = Math.min(...cells.map(({ predictions }) => predictions.length));
  const bySeed = Array.from({ length: seeds }, (_, seed) =>
    mean(({ mos, predictions }) => srcc(predictions[seed]!, mos)),
  );
  const overSeeds = (metric: (pred: readonly number[], mos: readonly number[]) => number) =>
    mean(
      ({ mos, predictions }) =>
        predictions.reduce((sum, list) => sum + metric(list, mos), 0) / predictions.length,
    );
  return {
    protocol,
    name,
    images: new Set(cells.flatMap(({ samples }) => samples)).size,
    folds: new Set(cells.map(({ fold }) => fold.label)).size,
    seeds,
    unit,
    srcc: drawn.srcc,
    plcc: drawn.plcc,
    krcc: overSeeds(krcc),
    rmse: protocol === 'cross' ? Number.NaN : overSeeds(rmse),
    plccLogistic: overSeeds((pred, mos) => logisticFit(pred, mos, 4).plcc),
    seedStd: meanAndStd(bySeed).std,
    parts: partsOf(cells),
  };
}

function partsOf(cells: readonly MeasuredCell[]): EvaluationRow['parts'] {
  return [...new Set(cells.map(({ label }) => label))].map((label) => {
    const own = cells.filter((cell) => cell.label === label);
    const figures = own.map(({ mos, predictions }) =>
      meanOverSeeds(srcc, mos, predictions, Int32Array.from(mos.keys())),
    );
    return {
      label,
      images: own.reduce((sum, { samples }) => sum + samples.length, 0),
      srcc: figures.reduce((sum, value) => sum + value, 0) / figures.length,
    };
  });
}

/** The part of a line with the lowest SRCC, of those that have one. */
export const worstOf = ({
  parts,
}: Pick<EvaluationRow, 'parts'>): EvaluationRow['parts'][number] | undefined =>
  parts.length < 2
    ? undefined
    : parts.reduce<EvaluationRow['parts'][number] | undefined>(
        (worst, part) => (part.srcc < (worst?.srcc ?? Infinity) ? part : worst),
        undefined,
      );
