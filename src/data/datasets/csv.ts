import { dirname } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { findColumn, numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
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
    const mos = requireColumn(table, given(options.mosColumn) ?? ['mos'], 'Name it with --mos-column.');
    const prompt = findColumn(table, ['prompt']);
    const labels = table.rows.map((row) => ({
      name: textField(row, name),
      mos: numberField(table, row, mos),
      prompt: prompt && textField(row, prompt),
    }));
    const { splitColumn } = options;
    const split =
      splitColumn === undefined ? drawnSplit(labels.length, options) : splitByColumn(table, splitColumn);
    const unused = splitColumn === undefined ? columnOfParts(table) : undefined;
    return {
      root: options.root ?? dirname(options.csv),
      labels,
      split,
      notes: unused
        ? [
            `column "${unused}" says which images are for training and for testing, but is not used: the split is drawn by --split-seed (use the column with --split-column ${unused})`,
          ]
        : [],
    };
  },
};
