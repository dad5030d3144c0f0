import { figureText } from '../common/figure-text.ts';
import type { PairedRow } from '../evaluation/against.ts';
import type { Evaluated } from '../evaluation/evaluation.ts';
import { protocolText } from '../evaluation/protocols.ts';
import { type EvaluationRow, unitText, worstOf } from '../evaluation/rows.ts';
import { drawChart, ink, type SeriesOption } from './chart.ts';
import { card, duration, facts, htmlPage, section, table, text } from './html.ts';

/** An evaluation as one HTML page that needs nothing beside itself. */
export function evaluationPage(result: Evaluated): string {
  const { dataset, settings, rows, paired, refused, dropped, seeds, adapters } = result;
  const { grouping } = dataset;
  const title = `${settings.trainer} on ${dataset.name}, ${dataset.target}`;
  const head = facts([
    ['images', String(dataset.images)],
    ['seeds', seeds.join(', ')],
    [
      'epochs',
      `${settings.epochs}, ${settings.finalModel === 'last' ? 'the last kept' : 'chosen on held-out training images'}`,
    ],
    ['training', duration(result.seconds)],
    ['adapter', adapters.map((name) => name.replace(/-+$/, '')).join('; ')],
    ['finished', result.finished.slice(0, 10)],
    ...(result.cross === null ? [] : [['other dataset', result.cross] as const]),
  ]);
  const notes = [
    ...refused.map(({ protocol, reason }) => `${protocol}: not done, ${reason}.`),
    ...Object.entries(dropped).map(
      ([protocol, count]) =>
        `${protocol}: ${count} training images were left out, since nearly the same images are in the test set.`,
    ),
    ...(paired?.notes ?? []).map((note) => `${note}.`),
  ];
  return htmlPage(
    title,
    [
      `<header><h1>${text(title)}</h1>${head}</header>`,
      section(
        'How well it does on what it has not seen',
        explanation(grouping) + figuresTable(rows, grouping),
      ),
      ...notes.map((note) => `<p class="note">${text(note)}</p>`),
      `<main class="cards">${charts(rows, grouping).join('\n')}</main>`,
      paired && paired.rows.length > 0 ? pairedSection(paired.against, paired.rows) : '',
      section(`Each fold and ${grouping}`, rows.map(partsTable).join('')),
      section('Protocols', protocolsTable(rows, grouping)),
    ],
    { wide: true },
  );
}

const explanation = (grouping: string) =>
  `<p>Means over folds (or each ${text(grouping)}) and seeds of each one's own figure. 95% intervals of a bootstrap that draws whole units: the prompts of each fold, all images of a ${text(grouping)}, or images. No epoch is chosen on test images.</p>`;

const between = ([low, high]: readonly [number, number]) => `${figureText(low, 3)} – ${figureText(high, 3)}`;

function figuresTable(rows: readonly EvaluationRow[], grouping: string): string {
  const lines = rows.map((row): [string, string[]] => {
    const worst = worstOf(row);
    return [
      row.name,
      [
        String(row.images),
        String(row.folds),
        figureText(row.srcc.value, 3),
        between(row.srcc.interval),
        figureText(row.seedStd, 3),
        figureText(row.plcc.value, 3),
        between(row.plcc.interval),
        figureText(row.plccLogistic, 3),
        figureText(row.krcc, 3),
        figureText(row.rmse, 3),
        unitText(row, grouping),
        worst ? `${figureText(worst.srcc, 3)} ${worst.label}` : '—',
      ],
    ];
  });
  return table(
    [
      'tested on',
      'images',
      'folds',
      'SRCC',
      '95%',
      '± seeds',
      'PLCC',
      '95%',
      'PLCC, logistic',
      'KRCC',
      'RMSE',
      'drawn',
      'worst SRCC',
    ],
    lines,
    'Figures by protocol',
  );
}

/** A point and its interval a line, and the SRCC of each group or fold of lines that have several. */
function charts(rows: readonly EvaluationRow[], grouping: string): string[] {
  const known = rows.filter(({ srcc }) => Number.isFinite(srcc.value));
  if (known.length === 0) return [];
  const all = lineChart(
    'SRCC by protocol',
    known.map(({ name, srcc }) => ({ name, value: srcc.value, interval: srcc.interval })),
  );
  const parts = known
    .filter((row) => row.protocol === 'generator' || row.protocol === 'within')
    .map((row) => {
      const own = row.parts
        .filter(({ srcc }) => Number.isFinite(srcc))
        .sort((a, b) => b.srcc - a.srcc)
        .map(({ label, srcc }) => ({ name: label, value: srcc }));
      return card(
        `SRCC: ${row.name}`,
        lineChart(`SRCC of each ${grouping}, ${row.name}`, own),
        `Mean ${figureText(row.srcc.value, 3)}, 95% ${between(row.srcc.interval)}.`,
      );
    });
  return [card('Rank correlation', all, 'SRCC with its 95% interval.'), ...parts];
}

interface Point {
  readonly name: string;
  readonly value: number;
  readonly interval?: readonly [number, number];
}

/** Points, from top to bottom, on an axis of correlations. */
function lineChart(label: string, points: readonly Point[]): string {
  const shown = points.toReversed();
  const lines = shown.flatMap(({ interval }, at): SeriesOption[] =>
    interval?.every(Number.isFinite)
      ? [
          {
            type: 'line',
            data: interval.map((end) => [end, at]),
            symbol: 'none',
            lineStyle: { color: ink.blue, width: 3 },
          },
        ]
      : [],
  );
  const marks: SeriesOption = {
    type: 'scatter',
    data: shown.map(({ value }, at) => [value, at]),
    symbolSize: 10,
    itemStyle: { color: ink.vermilion },
    label: {
      show: true,
      position: 'top',
      distance: 4,
      fontSize: 12,
      color: ink.text,
      formatter: ({ value }) => figureText((value as number[])[0], 3),
    },
  };
  return drawChart({
    label: `${label}: ${points.map(({ name, value }) => `${name} ${figureText(value, 3)}`).join(', ')}`,
    x: { type: 'value', name: 'SRCC', scale: true, max: 1 },
    y: {
      type: 'category',
      data: shown.map(({ name }) => name),
      axisTick: { show: false },
      axisLabel: { color: ink.text, width: 112, overflow: 'break' },
    },
    series: [...lines, marks],
    height: 90 + 44 * points.length,
  });
}

function pairedSection(against: string, rows: readonly PairedRow[]): string {
  const signed = (value: number) => `${value > 0 ? '+' : ''}${figureText(value, 3)}`;
  const lines = rows.map(({ name, images, srcc, plcc }): [string, string[]] => [
    name,
    [
      String(images),
      ...[srcc, plcc].flatMap(({ value, interval: [low, high] }) => [
        signed(value),
        `${signed(low)} – ${signed(high)}`,
        low > 0 || high < 0 ? 'yes' : 'no',
      ]),
    ],
  ]);
  const note = `<p>This evaluation minus ${text(against)}, on the same images of the same folds and in the same draws. If an interval does not contain 0, the difference is more than the choice of images.</p>`;
  return section(
    'Paired differences',
    note +
      table(
        ['tested on', 'images', 'ΔSRCC', '95%', 'beyond 0', 'ΔPLCC', '95%', 'beyond 0'],
        lines,
        'Paired differences',
      ),
  );
}

function partsTable({ name, parts }: EvaluationRow): string {
  if (parts.length < 2) return '';
  const lines = parts.map(({ label, images, srcc }): [string, string[]] => [
    label,
    [String(images), figureText(srcc, 3)],
  ]);
  return `<h3>${text(name)}</h3>${table(['part', 'images', 'SRCC'], lines, name)}`;
}

function protocolsTable(rows: readonly EvaluationRow[], grouping: string): string {
  const used = [...new Set(rows.map(({ protocol }) => protocol))];
  return table(
    ['protocol', 'what it does'],
    used.map((protocol): [string, string[]] => [protocol, [protocolText(protocol, grouping)]]),
    'Protocols',
  );
}
