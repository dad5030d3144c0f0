import { readFile } from 'node:fs/promises';
import { CsvError, parse } from 'csv-parse/sync';
import { UserError } from '../common/errors.ts';

/** One data row: its line in the file (counted from 1; the last line of a quoted row), and its fields by column name. */
export interface CsvRow {
  readonly line: number;
  readonly fields: Readonly<Record<string, string>>;
}

/** A CSV file with a header line. */
export interface CsvTable {
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

/** Reads a comma-separated file (RFC 4180, UTF-8, with or without byte order mark) whose first line names the columns. */
export async function readCsv(path: string): Promise<CsvTable> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UserError(`${path}: cannot be read (${code})`, 'Check the path of the CSV file.', {
      cause: error,
    });
  }
  let columns: string[] = [];
  let records: { record: Record<string, string>; info: { lines: number } }[];
  try {
    records = parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      trim: true,
      columns: (header: string[]) => {
        columns = header;
        return header;
      },
    }) as unknown as typeof records;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new UserError(
      `${path}: ${error.message}`,
      'Check that row: quotes in pairs, as many fields as the header.',
      {
        cause: error,
      },
    );
  }
  if (records.length === 0)
    throw new UserError(
      `${path}: no rows below the header`,
      'The first line must name the columns, the others hold data.',
    );
  return { path, columns, rows: records.map(({ record, info }) => ({ line: info.lines, fields: record })) };
}

/** The table's own spelling of a column, found by any of `names` in order, without regard to case. */
export function findColumn(table: CsvTable, names: readonly string[]): string | undefined {
  for (const name of names) {
    const found =
      table.columns.find((column) => column === name) ??
      table.columns.find((column) => column.toLowerCase() === name.toLowerCase());
    if (found !== undefined) return found;
  }
  return undefined;
}

/** As `findColumn`; a missing column is the user's error, which names those there are. */
export function requireColumn(table: CsvTable, names: readonly string[], advice?: string): string {
  const found = findColumn(table, names);
  if (found === undefined)
    throw new UserError(
      `${table.path}: no column ${names.map((name) => `"${name}"`).join(' or ')}; found: ${table.columns.join(', ')}`,
      advice ?? 'Check the header line of the file.',
    );
  return found;
}

/** The field as a finite number. */
export function numberField(table: CsvTable, row: CsvRow, column: string): number {
  const field = row.fields[column];
  const value = Number(field);
  if (field === '' || !Number.isFinite(value))
    throw new UserError(
      `${table.path}, line ${row.line}: ${column} is "${field}", not a number`,
      'Mend or remove that row.',
    );
  return value;
}
