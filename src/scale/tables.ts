import { parse } from 'csv-parse/sync';
import { UserError } from '../common/errors.ts';
import { csvText, unguarded } from '../data/formats/csv-writer.ts';
import type { Cell } from './manifest.ts';
import { parquet } from './parquet.ts';
import type { Column, TableFormat, TableName } from './table.ts';

const csv: TableFormat = {
  async encode(columns, rows) {
    return Buffer.from(csvLines(columns, rows, true));
  },
  async decode(columns, bytes, where) {
    const rows = parse(Buffer.from(bytes).toString('utf8'), {
      bom: false,
      relax_column_count: false,
    }) as string[][];
    requireColumns(rows.shift() ?? [], columns, where);
    return rows.map((row) =>
      row.map((field, i): Cell => {
        if (columns[i]!.type === 'string') return unguarded(field);
        return field === '' ? null : Number(field);
      }),
    );
  },
};

const jsonl: TableFormat = {
  async encode(columns, rows) {
    return Buffer.from(rows.map((row) => `${JSON.stringify(objectOf(columns, row))}\n`).join(''));
  },
  async decode(columns, bytes) {
    const lines = Buffer.from(bytes).toString('utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const object = JSON.parse(line) as Record<string, Cell>;
      return columns.map(({ name }) => object[name] ?? null);
    });
  },
};

/** What has no value is left out, as in the lines that `score --json` prints. */
const objectOf = (columns: readonly Column[], row: readonly Cell[]): Record<string, Cell> =>
  Object.fromEntries(columns.flatMap(({ name }, i) => (row[i] === null ? [] : [[name, row[i]!]])));

/** The forms that tables of results come in. Parquet needs hyparquet and hyparquet-writer, which are imported only then. */
export const tables: Readonly<Record<TableName, TableFormat>> = { csv, jsonl, parquet };

/** Rows as CSV, as `score --csv` writes them. */
export function csvLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  header: boolean,
  raw = false,
): string {
  const head = header ? [columns.map(({ name }) => name)] : [];
  const body = rows.map((row) => row.map((cell) => cell ?? ''));
  return raw ? csvText(head) + csvText(body, { raw }) : csvText([...head, ...body]);
}

function requireColumns(found: readonly string[], columns: readonly Column[], where: string): void {
  const expected = columns.map(({ name }) => name).join();
  if (found.map(unguarded).join() !== expected)
    throw new UserError(
      `${where}: its columns are ${found.join()}, not ${expected}`,
      'Remove it and run again.',
    );
}

/** The form that a file's name asks for. */
export function tableNameOf(path: string): TableName {
  const name = /\.(csv|jsonl|ndjson|parquet)$/i.exec(path)?.[1]?.toLowerCase();
  if (name === undefined)
    throw new UserError(`${path}: tables are .csv, .jsonl or .parquet`, 'Give the file such a name.');
  return name === 'ndjson' ? 'jsonl' : (name as TableName);
}
