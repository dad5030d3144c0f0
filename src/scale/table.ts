import type { Cell } from './manifest.ts';

/** A column of a table of results. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'double';
}

/** A table as a file. Equal rows give equal bytes. */
export interface TableFormat {
  encode(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Promise<Uint8Array>;
  decode(columns: readonly Column[], bytes: Uint8Array, where: string): Promise<readonly (readonly Cell[])[]>;
}

export type TableName = 'csv' | 'jsonl' | 'parquet';
