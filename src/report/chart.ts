import type { EChartsOption, SeriesOption } from 'echarts';
import { BarChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { escapeText } from 'entities';

use([BarChart, LineChart, ScatterChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer]);

export type { SeriesOption } from 'echarts';

/** What the charts here say of an axis; the rest is the same for all. */
export interface Axis {
  readonly type: 'value' | 'log' | 'category';
  /** With its unit. */
  readonly name?: string;
  readonly min?: number;
  readonly max?: number;
  readonly minInterval?: number;
  /** Do not force zero into the axis. */
  readonly scale?: boolean;
  readonly data?: readonly string[];
  readonly axisLabel?: object;
  readonly axisTick?: object;
  readonly splitLine?: object;
}

/** Colors of the page, which knows them for light and for dark; see `style.ts`. */
export const ink = {
  text: 'var(--text)',
  muted: 'var(--muted)',
  line: 'var(--line)',
  /** Okabe and Ito's blue, vermilion and green, told apart by every kind of color vision. */
  blue: 'var(--blue)',
  vermilion: 'var(--vermilion)',
  green: 'var(--green)',
} as const;

/** For curves of many groups: Okabe and Ito's other colors, readable on both grounds. */
export const palette = [
  ink.blue,
  ink.vermilion,
  ink.green,
  'var(--purple)',
  'var(--orange)',
  'var(--sky)',
  'var(--yellow)',
  ink.muted,
] as const;

export interface Chart {
  /** What it shows, for those who hear the page. */
  readonly label: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly SeriesOption[];
  readonly height?: number;
  /** Room above the axes, where there is more than a legend. */
  readonly top?: number | undefined;
  /** Names in the legend, if they are listed below one another, so that long ones are whole. */
  readonly legendRows?: number;
  /** What a mark says under the pointer: by number of series and of datum. */
  readonly titles?: (series: number, datum: number) => string | undefined;
}

/** In CSS pixels: a column of the page, so that letters stay readable on a phone. */
const width = 420;
const font = { fontSize: 14, fontFamily: 'inherit', color: ink.muted } as const;

/** Draws a chart as an SVG element of its own size that scales with its box. */
export function drawChart({ label, x, y, series, legendRows = 0, top, titles, ...given }: Chart): string {
  const list = 22 * legendRows;
  const height = (given.height ?? 320) + list;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    const named = series.filter(({ name }) => name !== undefined);
    // The legend puts a dot on lines that have none.
    const once = named.filter((one, i) => named.findIndex(({ name }) => name === one.name) === i);
    const entries = once.map((one) => ({
      name: String(one.name),
      ...('symbol' in one && one.symbol === 'none' ? { itemStyle: { opacity: 0 } } : {}),
    }));
    chart.setOption({
      animation: false,
      textStyle: font,
      grid: {
        left: 12,
        right: 20,
        top: top ?? (named.length > 0 ? (list > 0 ? list + 14 : 36) : 14),
        bottom: 8,
        outerBoundsMode: 'same',
      },
      legend: {
        show: named.length > 0,
        data: entries,
        top: 0,
        ...(list > 0 ? { orient: 'vertical', left: 8, itemGap: 8 } : { left: 'center', itemGap: 18 }),
        textStyle: { ...font, color: ink.text },
      },
      xAxis: axis(x, 30),
      yAxis: axis(y, 40),
      series: series.map(
        (one) => ({ ...one, emphasis: { disabled: true }, cursor: 'default' }) as SeriesOption,
      ),
    } satisfies EChartsOption);
    return finish(chart.renderToSVGString(), label, titles);
  } finally {
    chart.dispose(); // else its clock keeps the process alive
  }
}

function axis({ axisLabel, ...rest }: Axis, nameGap: number): object {
  return {
    nameLocation: 'middle',
    nameGap,
    nameTextStyle: { ...font, color: ink.text },
    axisLabel: { ...font, hideOverlap: true, ...axisLabel },
    axisLine: { show: true, lineStyle: { color: ink.muted } },
    axisTick: { lineStyle: { color: ink.muted } },
    splitLine: { lineStyle: { color: ink.line } },
    ...rest,
  };
}

/** The marks' titles, and the label; without the styles that ECharts adds for a pointer it would follow. */
function finish(svg: string, label: string, titles: Chart['titles']): string {
  const mark = /ecmeta_series_index="(\d+)" ecmeta_data_index="(\d+)" ecmeta_ssr_type="chart"[^>]*>/g;
  return svg
    .replace(/<style[\s\S]*?<\/style>/, '')
    .replace(mark, (tag, series, datum) => {
      const title = titles?.(Number(series), Number(datum));
      return title === undefined ? tag : `${tag}<title>${escapeText(title)}</title>`;
    })
    .replace('<svg ', `<svg role="img" aria-label="${escapeText(label).replaceAll('"', '&quot;')}" `);
}

/** A metric as JSON keeps it: null where it is not defined. */
export const defined = (value: number | null | undefined): value is number =>
  typeof value === 'number' && Number.isFinite(value);

/** A line through points [x, y]. */
export function curve(name: string, color: string, data: number[][], more: object = {}): SeriesOption {
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

/** An axis label without the digits that binary fractions trail. */
export function compact(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5)
    ? value.toExponential(0)
    : String(Number(value.toPrecision(4)));
}
