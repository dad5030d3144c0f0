import { dirname } from 'node:path';
import { shortened, UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { type CsvTable, findColumn, numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import type { DatasetLayout } from './dataset.ts';
import { columnOfParts, drawnSplit, splitByColumn } from './dataset-splits.ts';

/** Any CSV that names images and their scores. */
export const anyCsv: DatasetLayout = {
  name: 'csv',
  targets: [],
  layout:
    'a CSV with a column of image names (relative to --root, default: the folder of the CSV) and a column of scores',
  async read(options) {
    if (options.csv === undefined)
      throw new UserError('--data csv needs a CSV file', 'Pass --csv FILE, --image-column and --mos-column.');
    const table = await readCsv(options.csv);
    const given = (column: string | undefined) => (column === undefined ? undefined : [column]);
    const name = requireColumn(
      table,
      given(options.imageColumn) ?? ['name', 'filename', 'image'],
      'Name it with --image-column.',
    );
    const prompt = findColumn(table, ['prompt']);
    const generator = findColumn(table, ['generator']);
    const { scores, ...classes } =
      options.classColumn === undefined
        ? { scores: scoresOf(table, given(options.mosColumn)) }
        : classesOf(table, options.classColumn);
    const labels = table.rows.map((row, at) => ({
      name: textField(row, name),
      mos: scores[at]!,
      prompt: prompt && textField(row, prompt),
      group: (generator && textField(row, generator)) || undefined,
    }));
    const { splitColumn } = options;
    const split =
      splitColumn === undefined ? drawnSplit(labels.length, options) : splitByColumn(table, splitColumn);
    const unused = splitColumn === undefined ? columnOfParts(table) : undefined;
    return {
      root: options.root ?? dirname(options.csv),
      labels,
      split,
      ...(generator === undefined && { grouping: 'name prefix' }),
      ...classes,
      notes: [
        ...(table.note === undefined ? [] : [table.note]),
        ...(unused
          ? [
              `column "${unused}" says which images are for training and for testing, but is not used: the split is drawn by --split-seed (use the column with --split-column ${unused})`,
            ]
          : []),
      ],
    };
  },
};

function scoresOf(table: CsvTable, columns: readonly string[] = ['mos']): number[] {
  const mos = requireColumn(table, columns, 'Name it with --mos-column.');
  return table.rows.map((row) => numberField(table, row, mos));
}

/** Class names in alphabetical order, with each row's class by number and the bounds between the numbers. */
function classesOf(table: CsvTable, classColumn: string) {
  const column = requireColumn(table, [classColumn], 'Name it with --class-column.');
  const names = table.rows.map((row) => {
    const name = textField(row, column);
    if (name === '')
      throw new UserError(
        `${table.path}, line ${row.line}: ${column} is empty`,
        'Name its class, or remove that row.',
      );
    return name;
  });
  const classNames = [...new Set(names)].sort();
  if (classNames.length < 2)
    throw new UserError(
      `${table.path}: all images are of one class, ${shortened(classNames.join(), 100)}`,
      'Classes can be told apart from two on.',
    );
  checkLimit(
    'csvColumns',
    classNames.length,
    (count) => `${table.path}: column ${column} has ${count} classes`,
  );
  const numbers = new Map(classNames.map((name, at) => [name, at]));
  return {
    scores: names.map((name) => numbers.get(name)!),
    thresholds: classNames.slice(1).map((_, at) => at + 0.5),
    classNames,
  };
}
