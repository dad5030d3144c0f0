import { dirname } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { type CsvTable, findColumn, numberField, readCsv, requireColumn, textField } from '../formats/csv.ts';
import { type DatasetLayout, publishedSplitSeed, publishedTestSize } from './dataset.ts';
import { emptyPart, type Split, trainTestSplit } from './splits.ts';

const partNames: Record<string, keyof Split> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
};

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
    const unused = options.splitColumn === undefined ? columnOfParts(table) : undefined;
    const split =
      options.splitColumn !== undefined
        ? splitByColumn(table, options.splitColumn)
        : {
            ...trainTestSplit(
              labels.length,
              options.testSize ?? publishedTestSize,
              options.splitSeed ?? publishedSplitSeed,
            ),
            val: emptyPart,
          };
    return {
      root: options.root ?? dirname(options.csv),
      labels,
      split,
      thresholds: sextiles(Array.from(split.train, (at) => labels[at]!.mos)),
      notes: unused
        ? [
            `column "${unused}" says which images are for training and for testing, but is not used: the split is drawn by --split-seed (use the column with --split-column ${unused})`,
          ]
        : [],
    };
  },
};

/** A column by which the images could be split. */
function columnOfParts({ columns, rows }: CsvTable): string | undefined {
  return columns.find((column) => {
    const parts = new Set(rows.map((row) => partOf(textField(row, column))));
    return !parts.has(undefined) && parts.has('train') && parts.has('test');
  });
}

function partOf(text: string): keyof Split | undefined {
  const name = text.toLowerCase();
  return Object.hasOwn(partNames, name) ? partNames[name] : undefined;
}

function splitByColumn(table: CsvTable, splitColumn: string): Split {
  const column = requireColumn(table, [splitColumn], 'Name it with --split-column, or omit that option.');
  const parts: Record<keyof Split, number[]> = { train: [], val: [], test: [] };
  table.rows.forEach((row, at) => {
    const said = textField(row, column);
    const name = said.toLowerCase();
    const part = Object.hasOwn(partNames, name) ? partNames[name] : undefined;
    if (part === undefined)
      throw new UserError(
        `${table.path}, line ${row.line}: ${column} is "${said}"`,
        'It must be train, val or test.',
      );
    parts[part].push(at);
  });
  if (parts.train.length === 0 || parts.test.length === 0)
    throw new UserError(
      `${table.path}: column ${column} has ${parts.train.length} train and ${parts.test.length} test rows`,
      'Both need images.',
    );
  return {
    train: Int32Array.from(parts.train),
    val: Int32Array.from(parts.val),
    test: Int32Array.from(parts.test),
  };
}

/** Bounds that part the scores into six classes of equal size, as the published bounds of AGIQA-3K nearly do. */
function sextiles(scores: number[]): number[] {
  const sorted = scores.sort((a, b) => a - b);
  return [1, 2, 3, 4, 5].map((i) => sorted[Math.floor((sorted.length * i) / 6)]!);
}
