import { CsvError, parse } from 'csv-parse/sync';
import { shortened, UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { readWhole } from '../../common/read-file.ts';
import { csvDialect, type Separator } from './csv-dialect.ts';
import { unguarded } from './csv-writer.ts';
import { isWorkbook, readWorkbook } from './xlsx.ts';

/** One data row: its line in the file (counted from 1; the last line of a quoted row), and its fields by column name. */
export interface CsvRow {
  readonly line: number;
  readonly fields: Readonly<Record<string, string>>;
}

/** A table with a header line. */
export interface CsvTable {
  readonly path: string;
  /** Null in a workbook. */
  readonly separator: Separator | null;
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
  /** What is worth telling of how it was read. */
  readonly note?: string;
}

/**
 * Reads a table whose first line names the columns: CSV (RFC 4180), or the first sheet of an Excel workbook. Fields of a CSV are
 * separated by commas, or by semicolons or tabs where the first records say so; it is in UTF-8, with or without byte order mark, in
 * UTF-16 with one, or in Windows-1252, which `note` then tells.
 *
 * @throws UserError for a file that is no such table, or is larger than the limits allow
 */
export async function readCsv(path: string): Promise<CsvTable> {
  const file = await readWhole(path, 'csvBytes');
  return isWorkbook(file) ? tableOfWorkbook(path) : tableOfText(path, file);
}

async function tableOfWorkbook(path: string): Promise<CsvTable> {
  const [header, ...sheet] = await readWorkbook(path);
  const columns = header?.cells.map((name) => name.trim()) ?? [];
  const rows = sheet
    .filter(({ cells }) => cells.some((cell) => cell.trim() !== ''))
    .map(({ line, cells }) => ({
      line,
      fields: fieldsOf(
        columns,
        columns.map((_, i) => cells[i]?.trim() ?? ''),
      ),
    }));
  if (rows.length === 0) throw noRows(path);
  return { path, separator: null, columns, rows };
}

function tableOfText(path: string, file: Uint8Array): CsvTable {
  const { bytes, separator, named, note } = csvDialect(file);
  checkText(path, bytes, separator);
  let columns: readonly string[] | undefined;
  const rows: CsvRow[] = [];
  try {
    parse(bytes, {
      bom: true,
      delimiter: separator,
      // Left out, it would be that of the first line alone.
      record_delimiter: ['\r\n', '\n', '\r'],
      from_line: named ? 2 : 1,
      skip_empty_lines: true,
      trim: true,
      cast: unguarded,
      on_record: (record: string[], { lines }) => {
        if (columns) rows.push({ line: lines, fields: fieldsOf(columns, record) });
        else columns = checkColumns(path, record);
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new UserError(
      `${path}: ${error.message} (separator: ${separatorNames[separator]})`,
      'Check that row: quotes must be balanced, and it must have as many fields as the header.',
      { cause: error },
    );
  }
  if (!columns || rows.length === 0) throw noRows(path);
  return { path, separator, columns, rows, ...(note !== undefined && { note: `${path}: ${note}` }) };
}

const noRows = (path: string) =>
  new UserError(
    `${path}: no rows below the header`,
    'The first line names the columns; data starts on the second.',
  );

const separatorNames: Readonly<Record<Separator, string>> = { ',': 'comma', ';': 'semicolon', '\t': 'tab' };

/** Refuses what is no text in UTF-8, and more rows or fields than are read; before any is made. */
function checkText(path: string, bytes: Uint8Array, separator: Separator): void {
  let rows = 0;
  let fields = 0;
  const between = separator.charCodeAt(0);
  for (const byte of bytes) {
    if (byte === 0x0a || byte === 0x0d) rows++;
    else if (byte === between) fields++;
    else if (byte === 0)
      throw new UserError(`${path}: holds zero bytes, so it is not UTF-8 text`, 'Save it as CSV in UTF-8.');
  }
  checkLimit('csvRows', rows, (count) => `${path}: has ${count} lines`);
  checkLimit('csvFields', rows + fields, (count) => `${path}: has ${count} fields`);
}

function checkColumns(path: string, header: readonly string[]): readonly string[] {
  checkLimit('csvColumns', header.length, (count) => `${path}: has ${count} columns`);
  return header;
}

/** Defined as own members, so that a column may have any name. */
const fieldsOf = (columns: readonly string[], record: readonly string[]): Record<string, string> =>
  Object.fromEntries(columns.map((column, i) => [column, record[i]!]));

/** The table's own spelling of a column, found by any of `names` in order, without regard to case. */
export function findColumn(table: CsvTable, names: readonly string[]): string | undefined {
  for (const name of names) {
    const found =
      table.columns.find((column) => column === name) ??
      table.columns.find((column) => column.toLowerCase() === name.toLowerCase());
    if (found === undefined) continue;
    if (table.columns.indexOf(found) !== table.columns.lastIndexOf(found))
      throw new UserError(
        `${table.path}: two columns are named "${found}"`,
        'Rename or remove one of them in the header line.',
      );
    return found;
  }
  return undefined;
}

/** As `findColumn`; a missing column is the user's error, which names those there are. */
export function requireColumn(table: CsvTable, names: readonly string[], advice?: string): string {
  const found = findColumn(table, names);
  if (found === undefined)
    throw new UserError(
      `${table.path}: no column ${names.map((name) => `"${name}"`).join(' or ')}; found: ${shortened(table.columns.join(', '), 400)}`,
      advice ?? 'Check the header line of the file.',
    );
  return found;
}

/** The field as text; empty where the row has none. */
export const textField = (row: CsvRow, column: string): string => row.fields[column] ?? '';

/** Decimal notation: what JavaScript reads besides, such as 0x10, is no score. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** The same with a decimal comma. */
const decimalComma = /^[+-]?(\d+,\d*|,\d+)(e[+-]?\d+)?$/i;

/**
 * The field as a number that is finite in float32, in which training computes. A decimal comma is read in tables that are not
 * separated by commas, if no number of the column has a point.
 */
export function numberField(table: CsvTable, row: CsvRow, column: string): number {
  const field = row.fields[column] ?? '';
  const comma = decimalComma.test(field);
  const text = comma && hasDecimalCommas(table, column) ? field.replace(',', '.') : field;
  const value = decimal.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(Math.fround(value)))
    throw new UserError(
      `${table.path}, line ${row.line}: ${column} is "${shortened(field, 100)}", not a number`,
      comma ? commaAdvice(table) : 'Fix or remove that row.',
    );
  return value;
}

const commaAdvice = ({ separator }: CsvTable) =>
  separator === ','
    ? 'Write decimal points, or separate the columns by semicolons.'
    : 'Write all numbers of the column with a decimal comma, or all with a point.';

const withCommas = new WeakMap<CsvTable, Map<string, boolean>>();

function hasDecimalCommas(table: CsvTable, column: string): boolean {
  if (table.separator === ',') return false;
  let known = withCommas.get(table);
  if (!known) withCommas.set(table, (known = new Map()));
  let has = known.get(column);
  if (has === undefined)
    known.set(column, (has = !table.rows.some(({ fields }) => fields[column]?.includes('.'))));
  return has;
}
