import { extent } from '../common/extent.ts';
import { figureText } from '../common/figure-text.ts';
import type { RunSummary } from '../training/run.ts';
import type { EpochRecord } from '../training/training-state.ts';
import { type Axis, compact, curve, defined, drawChart, ink, palette } from './chart.ts';
import type { RunFiles } from './run-files.ts';

const epochAxis = (records: readonly EpochRecord[]): Axis => ({
  type: 'value',
  name: 'epoch',
  min: 1,
  max: Math.max(2, records.at(-1)!.epoch),
  minInterval: 1,
  splitLine: { show: false },
});

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
