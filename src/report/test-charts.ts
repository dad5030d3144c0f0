import { extent } from '../common/extent.ts';
import { figureText } from '../common/figure-text.ts';
import type { Metrics } from '../data/metrics/evaluation.ts';
import { logisticFit } from '../data/metrics/logistic.ts';
import { compact, curve, defined, drawChart, ink, type SeriesOption } from './chart.ts';
import type { PredictedImage } from './run-files.ts';

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
export function groupChart(
  groups: readonly (readonly [string, Metrics])[],
  overall: Metrics,
  grouping: string,
): string {
  const rows = groups.filter(([, { rmse }]) => defined(rmse)).sort(([, a], [, b]) => a.rmse - b.rmse);
  const average = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: ink.vermilion, type: 'dashed', width: 2 } as const,
    label: { formatter: `all: ${figureText(overall.rmse, 3)}`, color: ink.text, fontSize: 12 },
    data: [{ xAxis: overall.rmse }],
  };
  return drawChart({
    label: `RMSE by ${grouping}: ${rows.map(([name, { rmse }]) => `${name} ${figureText(rmse, 3)}`).join(', ')}`,
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
