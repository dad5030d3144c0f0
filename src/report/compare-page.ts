import { optionFlag } from '../common/fields.ts';
import { figureText, meanText } from '../common/figure-text.ts';
import type { PairedMetric } from '../data/metrics/paired.ts';
import type { ComparedRun, Comparison, RunGroup, RunsCompared } from './compare-runs.ts';
import { curvesChart } from './epoch-charts.ts';
import { card, duration, facts, htmlPage, section, table, text } from './html.ts';

const metrics: readonly PairedMetric[] = ['srcc', 'plcc', 'krcc', 'rmse'];

/** Runs side by side as one HTML page that needs nothing beside itself; its only script sorts the tables. */
export function comparePage(compared: RunsCompared): string {
  const { groups, baseline, notes } = compared;
  const runs = groups.flatMap((group) => group.runs);
  const days = runs.map(({ finished }) => finished.getTime());
  const span = [Math.min(...days), Math.max(...days)].map((time) =>
    new Date(time).toISOString().slice(0, 10),
  );
  const head = facts([
    ['runs', `${runs.length} in ${groups.length} groups`],
    ['baseline', baseline],
    ['finished', span[0] === span[1] ? span[0]! : `${span[0]} to ${span[1]}`],
    ['adapters', [...new Set(runs.map(({ summary }) => summary.adapter.replace(/-$/, '')))].join('; ')],
  ]);
  return htmlPage(
    `${runs.length} runs compared`,
    [
      `<header><h1>${runs.length} runs compared</h1>${head}</header>`,
      ...notes.map((note) => `<p class="note">${text(note)}</p>`),
      section('Runs', runsTable(compared)),
      differencesSection(compared.comparisons, baseline),
      `<main class="cards">${charts(groups).join('\n')}</main>`,
    ],
    { script: sorting, wide: true },
  );
}

/** A row a group, and below it one a seed; the columns sort. */
function runsTable({ groups, differing, baseline }: RunsCompared): string {
  // Where epochs differ, their column tells them already.
  const trained = differing.includes('epochs') ? [] : ['epochs'];
  const columns = [
    'run',
    ...metrics.map((name) => name.toUpperCase()),
    'SRCC, 95%',
    ...differing.map((name) => optionFlag(name).slice(2)),
    ...trained,
    'time',
    'finished',
  ];
  const head = columns
    .map((name, i) => {
      const left = i === 0 || (i > 5 && i <= 5 + differing.length) ? ' class="left"' : '';
      return `<th scope="col"${left}><button type="button">${text(name)}</button></th>`;
    })
    .join('');
  const bodies = groups.map((group) => groupRows(group, differing, group.name === baseline));
  return `<div class="scroll" tabindex="0" role="region" aria-label="Runs"><table class="sortable"><thead><tr>${head}</tr></thead>${bodies.join('')}</table></div>`;
}

function groupRows(group: RunGroup, differing: RunsCompared['differing'], isBaseline: boolean): string {
  const { name, runs, figures } = group;
  const [first] = runs as [ComparedRun, ...ComparedRun[]];
  const { settings } = first.summary;
  const mark = isBaseline ? ' <small>baseline</small>' : '';
  const several = runs.length > 1;
  const cell = (value: string, sort: number | string, left = false) =>
    `<td data-sort="${text(sort)}"${left ? ' class="left"' : ''}>${text(value)}</td>`;
  const set = differing.map((setting) => {
    const value = settings[setting] === '' ? '—' : String(settings[setting]);
    return cell(value, typeof settings[setting] === 'number' ? (settings[setting] as number) : value, true);
  });
  const of = (metric: PairedMetric) => {
    const { mean } = figures[metric];
    return cell(meanText(figures[metric]), sortable(mean));
  };
  const seconds = runs.reduce((sum, { summary }) => sum + summary.seconds, 0);
  const row = [
    ...metrics.map(of),
    several ? cell('', '') : interval(first),
    ...set,
    ...(differing.includes('epochs') ? [] : [cell(String(first.summary.epochs), first.summary.epochs)]),
    cell(duration(seconds), seconds),
    cell(day(runs.at(-1)!), runs.at(-1)!.finished.getTime()),
  ];
  const label = several ? `${name} (${runs.length} seeds)` : name;
  const seeds = several ? runs.map((run) => seedRow(run, differing)) : [];
  return `<tbody><tr><th scope="row">${text(label)}${mark}</th>${row.join('')}</tr>${seeds.join('')}</tbody>`;
}

function seedRow(run: ComparedRun, differing: RunsCompared['differing']): string {
  const { summary } = run;
  const figures = metrics.map((name) => `<td>${figureText(summary.test?.overall[name])}</td>`);
  const cells = [
    ...figures,
    interval(run),
    ...differing.map(() => '<td></td>'),
    ...(differing.includes('epochs') ? [] : [`<td>${summary.epochs}</td>`]),
    `<td>${duration(summary.seconds)}</td>`,
    `<td>${day(run)}</td>`,
  ];
  return `<tr class="seed"><th scope="row">seed ${summary.settings.seed}</th>${cells.join('')}</tr>`;
}

function interval({ summary }: ComparedRun): string {
  const [low, high] = summary.test?.intervals?.srcc ?? [Number.NaN, Number.NaN];
  return `<td data-sort="${sortable(low)}">${figureText(low, 3)} – ${figureText(high, 3)}</td>`;
}

const day = ({ finished }: ComparedRun) => finished.toISOString().slice(0, 10);
const sortable = (value: number) => (Number.isFinite(value) ? value : '');

function differencesSection(comparisons: readonly Comparison[], baseline: string): string {
  if (comparisons.length === 0) return '';
  const rows = comparisons.map(({ name, images, differences }): [string, string[]] => [
    name,
    [
      String(images),
      ...metrics.map((metric) => {
        const {
          difference,
          interval: [low, high],
        } = differences[metric];
        const sure = low > 0 || high < 0;
        return `${signed(difference)}  [${signed(low)}, ${signed(high)}]${sure ? ' *' : ''}`;
      }),
    ],
  ]);
  const note = `<p>Mean prediction of each group's seeds minus that of ${text(baseline)}, on the test images both have, with the 95% interval of a paired bootstrap. * : the interval does not contain 0. A lower RMSE is better.</p>`;
  return section(
    'Differences from the baseline',
    note + table(['', 'images', 'ΔSRCC', 'ΔPLCC', 'ΔKRCC', 'ΔRMSE'], rows, 'Differences from the baseline'),
  );
}

/** A difference with its sign, which one that rounds to 0 has not. */
function signed(value: number): string {
  const size = figureText(Math.abs(value), 3);
  return Number(size) === 0 ? size : `${value > 0 ? '+' : '−'}${size}`;
}

/** Curves of all runs in one figure: those of a group share a color. */
function charts(groups: readonly RunGroup[]): string[] {
  const loss = curvesChart('training loss', groups, ({ loss: value }) => value);
  const srcc = curvesChart('SRCC on the test set', groups, ({ test }) => test?.srcc);
  return [
    ...(loss
      ? [
          card(
            'Loss',
            loss,
            'Mean over the training steps of each epoch. Losses of different trainers or score scalings are in different units.',
          ),
        ]
      : []),
    ...(srcc
      ? [
          card(
            'Rank correlation',
            srcc,
            "Spearman's, after each epoch; the test set is never used to select a model.",
          ),
        ]
      : []),
  ];
}

/** Sorts groups, with their seeds, by a column; a second click turns the order around. */
const sorting = `
for (const button of document.querySelectorAll('.sortable th button'))
  button.addEventListener('click', () => {
    const heading = button.parentElement, table = heading.closest('table'), column = heading.cellIndex;
    const up = heading.getAttribute('aria-sort') === 'descending';
    for (const other of heading.parentElement.children) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = (body) => {
      const cell = body.rows[0].cells[column];
      return cell.dataset.sort ?? cell.textContent;
    };
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === '' || y === '') return (x === '') - (y === '');
      const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y, 'en', { numeric: true }) : x - y;
      return up ? difference : -difference;
    };
    table.append(...[...table.tBodies].sort(order));
  });
`;
