import { UserError } from '../../common/errors.ts';
import { type CsvTable, requireColumn, textField } from '../formats/csv.ts';
import { type DatasetOptions, publishedSplitSeed, publishedTestSize } from './dataset.ts';
import { emptyPart, type Split, trainTestSplit } from './splits.ts';

const partNames: Record<string, keyof Split> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
};

/** Train and test parts drawn from `count` images by the options' size and seed, the published ones by default. */
export function drawnSplit(count: number, { testSize, splitSeed }: DatasetOptions): Split {
  const parts = trainTestSplit(count, testSize ?? publishedTestSize, splitSeed ?? publishedSplitSeed);
  return { ...parts, val: emptyPart };
}

/**
 * Train and test parts that share no reference image: of versions of one image, distorted in several ways, a model would know the
 * content of the test images. The references are drawn, in alphabetical order, as {@link drawnSplit} draws images.
 *
 * @param references the reference image of each label
 * @returns also what to tell of it
 */
export function splitByReference(
  references: readonly string[],
  options: DatasetOptions,
): { readonly split: Split; readonly note: string } {
  const names = [...new Set(references)].sort();
  const drawn = drawnSplit(names.length, options);
  const tested = new Set(Array.from(drawn.test, (at) => names[at]));
  const all = Int32Array.from(references, (_, at) => at);
  return {
    split: {
      train: all.filter((at) => !tested.has(references[at])),
      val: emptyPart,
      test: all.filter((at) => tested.has(references[at])),
    },
    note: `split by reference image: ${drawn.train.length} to train on, ${drawn.test.length} to test on (seed ${options.splitSeed ?? publishedSplitSeed})`,
  };
}

/** The parts that a column names. */
export function splitByColumn(table: CsvTable, splitColumn: string): Split {
  const column = requireColumn(table, [splitColumn], 'Name it with --split-column, or omit that option.');
  const parts: Record<keyof Split, number[]> = { train: [], val: [], test: [] };
  for (const [at, row] of table.rows.entries()) {
    const said = textField(row, column);
    const part = partOf(said);
    if (part === undefined)
      throw new UserError(
        `${table.path}, line ${row.line}: ${column} is "${said}"`,
        'It must be train, val or test.',
      );
    parts[part].push(at);
  }
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

/** A column by which the images could be split. */
export function columnOfParts({ columns, rows }: CsvTable): string | undefined {
  return columns.find((column) => {
    const parts = new Set(rows.map((row) => partOf(textField(row, column))));
    return !parts.has(undefined) && parts.has('train') && parts.has('test');
  });
}

function partOf(text: string): keyof Split | undefined {
  const name = text.toLowerCase();
  return Object.hasOwn(partNames, name) ? partNames[name] : undefined;
}

/** Bounds that part the training images' scores into classes of equal size, as the published bounds of AGIQA-3K nearly do. */
export function quantiles(
  labels: readonly { readonly mos: number }[],
  { train }: Split,
  classes: number,
): number[] {
  const sorted = Array.from(train, (at) => labels[at]!.mos).sort((a, b) => a - b);
  return Array.from(
    { length: classes - 1 },
    (_, i) => sorted[Math.floor((sorted.length * (i + 1)) / classes)]!,
  );
}
