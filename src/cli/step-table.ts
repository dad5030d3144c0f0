import { type ComparableStep, compareSteps, differences } from '../step/compare-steps.ts';
import { type Figures, type Grouping, groupsOf, keys, type SortOrder } from '../step/figures.ts';
import type { StepData } from '../step/step-data.ts';
import { amountText, percentText, timeText } from '../step/units.ts';
import { formatTable } from './table.ts';

/** A recording in a few lines, and a table of what its time goes to: the page's figures. */
export function stepText(data: StepData, figures: Figures, grouping: Grouping, order: SortOrder): string {
  const { times, ceilings, adapter } = data;
  const head = [
    ['step', `${timeText(times.wall)} as it runs, ${timeText(times.host)} of it on the host (measured)`],
    ['dispatches', `${data.dispatches.length}, ${timeText(figures.total)} timed apart (measured)`],
    [
      'work',
      `${amountText(figures.operations, 'FLOP')}, ${amountText(figures.bytes, 'B')} at least (counted)`,
    ],
    [
      'memory',
      `${amountText(figures.peak.bytes, 'B')} allocated at most, at dispatch ${figures.peak.at} (counted)`,
    ],
    [
      'ceilings',
      `${ceilings.gflops.toPrecision(3)} GFLOP/s, ${ceilings.copyGBs.toPrecision(3)} GB/s on ${adapter.name} (measured)`,
    ],
    ['roofline', `${percentText(figures.ideal / figures.total)} of the time at those ceilings (modeled)`],
  ];
  const rows = groupsOf(data, figures, keys[grouping], order).map((group) => [
    group.key,
    group.calls,
    timeText(group.ns),
    percentText(group.ns / figures.total),
    timeText(group.wasted),
    amountText(group.operations, 'FLOP'),
    amountText(group.bytes, 'B'),
    percentText(group.ideal / group.ns),
  ]);
  const table = formatTable(rows, {
    columns: [grouping, 'calls', 'time', 'share', 'wasted', 'operations', 'bytes', 'roofline'],
    align: 'lrrrrrrr',
  });
  const ghosts = data.ghosts.map(
    ({ what, operations, ns, basis }) =>
      `${'spared'.padEnd(11)}${what}: ${amountText(operations, 'FLOP')} (${basis}), ${timeText(ns)} at the ceilings (modeled)`,
  );
  return [...head.map(([name, text]) => `${name!.padEnd(11)}${text}`), ...ghosts, '', table].join('\n');
}

/** Two recordings, part by part, the largest change in time first. */
export function comparisonText(before: ComparableStep, after: ComparableStep): string {
  const { total, parts } = compareSteps(before, after);
  const cells = ({ key, a, b }: (typeof parts)[number]) => [
    key,
    a ? timeText(a.ns) : '-',
    b ? timeText(b.ns) : '-',
    a && b ? `${b.ns >= a.ns ? '+' : ''}${(100 * (b.ns / a.ns - 1)).toFixed(0)} %` : a ? 'gone' : 'new',
    a?.dispatches ?? 0,
    b?.dispatches ?? 0,
  ];
  const changed = differences(before, after);
  const rows = [total, ...parts.slice(0, 20)].map(cells);
  const columns = ['part', 'before', 'after', 'change', 'dispatches', 'after'];
  return `${changed.map((line) => `differs    ${line}\n`).join('')}${formatTable(rows, { columns, align: 'lrrrrr' })}`;
}
