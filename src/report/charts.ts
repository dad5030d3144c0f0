import { extent } from '../common/extent.ts';
import { figureText } from '../common/figure-text.ts';
import type { Metrics } from '../data/metrics/evaluation.ts';
import { logisticFit } from '../data/metrics/logistic.ts';
import type { EpochRecord } from '../training/loop.ts';
import type { RunSummary } from '../training/run.ts';
import { type Axis, drawChart, ink, palette, type SeriesOption } from './chart.ts';
import type { PredictedImage, RunFiles } from './run-files.ts';

/** A metric as JSON keeps it: null where it is not defined. */
const defined = (value: number | null | undefined): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const epochAxis = (records: readonly EpochRecord[]): Axis => ({
  type: 'value',
  name: 'epoch',
  min: 1,
  max: Math.max(2, records.at(-1)!.epoch),
  minInterval: 1,
  splitLine: { show: false },
});

function curve(name: string, color: string, data: number[][], more: object = {}): SeriesOption {
  return {
    type: 'line',
    name,
    data,
    symbol: 'circle',
    symbolSize: 5,
    showSymbol: data.length <= 30,
    itemStyle: { color },
    lineStyle: { color, width: 2 },
    ...more,
  };
}

/** What the loss is, with its unit. */
export function lossName({ trainer, mosScaling }: RunSummary['settings']): string {
  if (trainer === 'coop') return 'cross-entropy (nats)';
  return mosScaling === 'standard' ? 'mean squared error (standardized)' : 'mean squared error (MOS²)';
}

/** Mean training loss of each epoch; on a logarithmic axis where it spans more than a factor of twenty. */
export function lossChart(records: readonly EpochRecord[], settings: RunSummary['settings']): string {
  const losses = records.map(({ loss }) => loss);
  const [least, most] = extent(losses);
  const log = least > 0 && most > 20 * least;
  return drawChart({
    label: `Training loss by epoch: from ${figureText(losses[0])} to ${figureText(losses.at(-1))}`,
    x: epochAxis(records),
    y: {
      type: log ? 'log' : 'value',
      name: lossName(settings),
      scale: true,
      axisLabel: { formatter: compact },
    },
    series: [
      curve(
        'training loss',
        ink.blue,
        records.map(({ epoch, loss }) => [epoch, loss]),
      ),
    ],
    titles: (_, at) => {
      const { epoch, loss, lr } = records[at]!;
      return `epoch ${epoch}: loss ${figureText(loss)}, learning rate ${lr.toExponential(2)}`;
    },
  });
}

/** The learning rate of each epoch. */
export function rateChart(records: readonly EpochRecord[]): string {
  const rates = records.map(({ lr }) => lr);
  return drawChart({
    label: `Learning rate by epoch: largest ${Math.max(...rates).toExponential(2)}, last ${rates.at(-1)!.toExponential(2)}`,
    x: epochAxis(records),
    y: { type: 'value', name: 'learning rate', axisLabel: { formatter: compact } },
    series: [
      curve(
        'learning rate',
        ink.blue,
        records.map(({ epoch, lr }) => [epoch, lr]),
      ),
    ],
    titles: (_, at) => `epoch ${records[at]!.epoch}: ${records[at]!.lr.toExponential(3)}`,
  });
}

/** SRCC of validation and test part after each epoch, with the epoch that was kept. */
export function srccChart(records: readonly EpochRecord[], kept: number): string | null {
  const points = (part: 'val' | 'test') =>
    records.flatMap((record) => {
      const srcc = record[part]?.srcc;
      return defined(srcc) ? [[record.epoch, srcc]] : [];
    });
  const parts = [
    { name: 'test', color: ink.blue, data: points('test'), look: {} },
    {
      name: 'validation',
      color: ink.vermilion,
      data: points('val'),
      look: {
        symbol: 'diamond',
        symbolSize: 7,
        lineStyle: { color: ink.vermilion, width: 2, type: 'dashed' },
      },
    },
  ].filter(({ data }) => data.length > 0);
  if (parts.length === 0) return null;
  const last = records.at(-1)!.epoch;
  const mark = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: ink.muted, type: 'dotted', width: 1.5 },
    label: { formatter: `kept: epoch ${kept}`, color: ink.muted, fontSize: 12, position: 'end' },
    data: [{ xAxis: kept }],
  };
  return drawChart({
    label: parts
      .map(({ name, data }) => `SRCC of the ${name} set by epoch: last ${figureText(data.at(-1)![1])}`)
      .join('; '),
    x: epochAxis(records),
    y: { type: 'value', name: 'SRCC', scale: true, axisLabel: { formatter: compact } },
    top: kept === last ? undefined : 52,
    series: parts.map(({ name, color, data, look }, i) =>
      curve(name, color, data, i === 0 && kept !== last ? { ...look, markLine: mark } : look),
    ),
    titles: (series, at) => {
      const part = parts[series]!;
      const [epoch, srcc] = part.data[at]!;
      return `epoch ${epoch}, ${part.name}: SRCC ${figureText(srcc)}`;
    },
  });
}

/** Line styles of groups that share a color. */
const dashes = ['solid', 'dashed', 'dotted'] as const;

/** One figure of every epoch, a curve a run; the runs of a group look alike. Null where no run has it. */
export function curvesChart(
  name: string,
  groups: readonly {
    readonly name: string;
    readonly runs: readonly Pick<RunFiles, 'records' | 'summary'>[];
  }[],
  figure: (record: EpochRecord) => number | null | undefined,
): string | null {
  const curves = groups.flatMap(({ name: group, runs }, g) =>
    runs.map(({ records, summary }) => {
      const data = records.flatMap((record) => {
        const value = figure(record);
        return defined(value) ? [[record.epoch, value]] : [];
      });
      const color = palette[g % palette.length]!;
      const type = dashes[Math.floor(g / palette.length) % dashes.length]!;
      const label = runs.length > 1 ? `${group}, seed ${summary.settings.seed}` : group;
      return { label, data, option: curve(group, color, data, { lineStyle: { color, width: 1.5, type } }) };
    }),
  );
  const drawn = curves.filter(({ data }) => data.length > 0);
  if (drawn.length === 0) return null;
  return drawChart({
    label: `${name} by epoch: ${drawn.map(({ label, data }) => `${label} last ${figureText(data.at(-1)![1])}`).join('; ')}`,
    x: {
      type: 'value',
      name: 'epoch',
      min: 1,
      max: Math.max(2, ...drawn.map(({ data }) => data.at(-1)![0]!)),
      minInterval: 1,
      splitLine: { show: false },
    },
    y: { type: 'value', name, scale: true, axisLabel: { formatter: compact } },
    series: drawn.map(({ option }) => option),
    legendRows: groups.length,
    titles: (series, at) => {
      const { label, data } = drawn[series]!;
      const [epoch, value] = data[at]!;
      return `${label}, epoch ${epoch}: ${figureText(value)}`;
    },
  });
}

/** Marks beyond this many only slow the page down, and would take minutes to fit the curve to. */
const mostPoints = 3000;

export interface ScatterChart {
  readonly svg: string;
  readonly shown: number;
}

/** MOS against prediction, a mark an image, with the four-parameter logistic through those shown and the line of equality. */
export function scatterChart(images: readonly PredictedImage[], target: string): ScatterChart {
  const stride = Math.ceil(images.length / mostPoints);
  const shown = images.filter((_, i) => i % stride === 0);
  const [low, high] = extent(images.map(({ prediction }) => prediction));
  const [mosLow, mosHigh] = extent(images.map(({ mos }) => mos));
  const fit = logisticFit(
    shown.map(({ prediction }) => prediction),
    shown.map(({ mos }) => mos),
    4,
  );
  const steps = Array.from({ length: 65 }, (_, i) => low + ((high - low) * i) / 64);
  const fitted = steps.map((at) => [at, fit.predict(at)]).filter(([, value]) => defined(value));
  const equal = [Math.max(low, mosLow), Math.min(high, mosHigh)];
  const line = (name: string, color: string, data: number[][], type: 'solid' | 'dashed') =>
    curve(name, color, data, {
      symbol: 'none',
      silent: true,
      lineStyle: { color, width: type === 'solid' ? 3 : 1.5, type },
      z: 5,
    });
  const points: SeriesOption = {
    type: 'scatter',
    name: 'images',
    data: shown.map(({ prediction, mos }) => [prediction, mos]),
    symbolSize: shown.length > 300 ? 5 : 7,
    itemStyle: { color: ink.blue, opacity: shown.length > 300 ? 0.5 : 0.7 },
  };
  const svg = drawChart({
    label: `MOS against prediction for ${images.length} test images`,
    x: {
      type: 'value',
      name: `predicted ${target}`,
      scale: true,
      axisLabel: { formatter: compact },
    },
    y: { type: 'value', name: 'MOS', scale: true, axisLabel: { formatter: compact } },
    series: [
      points,
      ...(fitted.length > 0 ? [line('logistic fit', ink.vermilion, fitted, 'solid')] : []),
      ...(equal[0]! < equal[1]!
        ? [
            line(
              'equal',
              ink.text,
              equal.map((at) => [at, at]),
              'dashed',
            ),
          ]
        : []),
    ],
    height: 380,
    titles: (series, at) => {
      const image = series === 0 ? shown[at] : undefined;
      return (
        image &&
        `${image.name}\npredicted ${figureText(image.prediction, 2)}, MOS ${figureText(image.mos, 2)}`
      );
    },
  });
  return { svg, shown: shown.length };
}

/** Bars of the histogram of residuals. */
const bins = 24;

/** How many test images are overrated or underrated by how much: a histogram of prediction less MOS. */
export function residualChart(images: readonly PredictedImage[]): string {
  const residuals = images.map(({ prediction, mos }) => prediction - mos);
  const [low, high] = extent(residuals);
  const width = (high - low) / bins || 1;
  const counts = Array.from({ length: bins }, () => 0);
  for (const residual of residuals) counts[Math.min(bins - 1, Math.floor((residual - low) / width))]!++;
  const middle = (bin: number) => low + (bin + 0.5) * width;
  const mean = residuals.reduce((sum, residual) => sum + residual, 0) / residuals.length;
  const zero = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: ink.vermilion, type: 'dashed', width: 2 } as const,
    label: { show: false },
    data: [{ xAxis: Math.round(-low / width - 0.5) }],
  };
  return drawChart({
    label: `Residuals of ${images.length} test images: mean ${figureText(mean, 3)}, from ${figureText(low, 2)} to ${figureText(high, 2)}`,
    x: {
      type: 'category',
      name: 'prediction − MOS',
      data: counts.map((_, bin) => compact(Number(middle(bin).toFixed(2)))),
    },
    y: { type: 'value', name: 'images', minInterval: 1, axisLabel: { formatter: compact } },
    series: [
      {
        type: 'bar',
        data: counts,
        barCategoryGap: '8%',
        itemStyle: { color: ink.blue },
        ...(low < 0 && high > 0 ? { markLine: zero } : {}),
      },
    ],
    titles: (_, bin) =>
      `${figureText(low + bin * width, 2)} to ${figureText(low + (bin + 1) * width, 2)}: ${counts[bin]} images`,
  });
}

/** RMSE of each group, largest at the top, with the RMSE of all. */
export function groupChart(groups: readonly (readonly [string, Metrics])[], overall: Metrics): string {
  const rows = groups.filter(([, { rmse }]) => defined(rmse)).sort(([, a], [, b]) => a.rmse - b.rmse);
  const average = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: ink.vermilion, type: 'dashed', width: 2 } as const,
    label: { formatter: `all: ${figureText(overall.rmse, 3)}`, color: ink.text, fontSize: 12 },
    data: [{ xAxis: overall.rmse }],
  };
  return drawChart({
    label: `RMSE by generator: ${rows.map(([name, { rmse }]) => `${name} ${figureText(rmse, 3)}`).join(', ')}`,
    x: { type: 'value', name: 'RMSE (MOS units)', axisLabel: { formatter: compact } },
    y: {
      type: 'category',
      data: rows.map(([name]) => name),
      axisTick: { show: false },
      axisLabel: { color: ink.text, width: 110, overflow: 'truncate' },
    },
    series: [
      {
        type: 'bar',
        data: rows.map(([, { rmse }]) => rmse),
        barMaxWidth: 30,
        itemStyle: { color: ink.blue },
        label: {
          show: true,
          position: 'insideLeft',
          color: 'var(--on-blue)',
          fontSize: 12,
          formatter: ({ value }) => figureText(Number(value), 3),
        },
        markLine: average,
      },
    ],
    top: 30,
    height: Math.max(380, 90 + 26 * rows.length),
    titles: (_, at) => {
      const [name, { n, srcc, rmse }] = rows[at]!;
      return `${name}: RMSE ${figureText(rmse)}, SRCC ${figureText(srcc)}, ${n} images`;
    },
  });
}

/** An axis label without the digits that binary fractions trail. */
function compact(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5)
    ? value.toExponential(0)
    : String(Number(value.toPrecision(4)));
}
