import { figureText } from '../common/figure-text.ts';
import type { Evaluated } from '../evaluation/evaluation.ts';
import { unitText, worstOf } from '../evaluation/rows.ts';
import { formatTable } from './table.ts';

const between = (interval: readonly [number, number]) =>
  interval.map((end) => figureText(end, 3)).join(' to ');

/** What an evaluation found, as tables for a terminal. */
export function evaluationTables({ dataset, rows, paired, refused, dropped }: Evaluated): string {
  const table = formatTable(
    rows.map((row) => {
      const worst = worstOf(row);
      return [
        row.name,
        row.images,
        row.folds,
        row.seeds,
        figureText(row.srcc.value, 3),
        between(row.srcc.interval),
        figureText(row.plcc.value, 3),
        figureText(row.krcc, 3),
        figureText(row.rmse, 3),
        unitText(row, dataset.grouping),
        worst ? `${figureText(worst.srcc, 3)} ${worst.label}` : '',
      ];
    }),
    {
      columns: ['test', 'images', 'folds', 'seeds', 'SRCC', '95%', 'PLCC', 'KRCC', 'RMSE', 'drawn', 'worst'],
      align: 'lrrrrlrrrll',
    },
  );
  const notes = [
    ...refused.map(({ protocol, reason }) => `${protocol}: not done, ${reason}`),
    ...Object.entries(dropped).map(
      ([protocol, count]) =>
        `${protocol}: ${count} training images left out, since nearly the same images are in the test set`,
    ),
    ...(paired?.notes ?? []),
  ];
  return [table, ...(paired && paired.rows.length > 0 ? [pairedTable(paired)] : []), notes.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

function pairedTable({ against, rows }: NonNullable<Evaluated['paired']>): string {
  return formatTable(
    rows.map(({ name, images, srcc, plcc }) => [
      name,
      images,
      ...[srcc, plcc].flatMap(({ value, interval }) => [figureText(value, 3), between(interval)]),
    ]),
    { columns: [`minus ${against}`, 'images', 'SRCC', '95%', 'PLCC', '95%'], align: 'lrrlrl' },
  );
}
