import { openOutput } from '../common/files.ts';
import type { Cell } from './manifest.ts';
import { openParquetWriter } from './parquet.ts';
import type { Column, TableName } from './table.ts';
import { csvLines, tables } from './tables.ts';

/** A table of any length that is being written; it takes its name when it is whole. */
export interface Sheet {
  write(rows: readonly (readonly Cell[])[]): Promise<void>;
  commit(): Promise<void>;
  abandon(): void;
}

/** Opens one. `raw`: texts in CSV as they are. */
export async function openSheet(
  path: string,
  format: TableName,
  columns: readonly Column[],
  raw = false,
): Promise<Sheet> {
  const output = openOutput(path);
  if (format === 'parquet') {
    const writer = await openParquetWriter(columns, (bytes) => output.write(bytes));
    return {
      write: (rows) => writer.write(rows),
      async commit() {
        await writer.finish();
        output.commit();
      },
      abandon: () => output.abandon(),
    };
  }
  if (format === 'csv') output.write(csvLines(columns, [], true));
  return {
    async write(rows) {
      if (format === 'csv') output.write(csvLines(columns, rows, false, raw));
      else output.write(await tables.jsonl.encode(columns, rows));
    },
    async commit() {
      output.commit();
    },
    abandon: () => output.abandon(),
  };
}
