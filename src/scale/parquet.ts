import type { Cell } from './manifest.ts';
import { optional } from './optional.ts';
import { isS3 } from './s3/s3-url.ts';
import { objectBuffer } from './source.ts';
import type { Column, TableFormat } from './table.ts';

const writer = () => optional('hyparquet-writer', 'Parquet', () => import('hyparquet-writer'));
const reader = () => optional('hyparquet', 'reading Parquet', () => import('hyparquet'));

/** Apache Parquet: one row group, Snappy, UTF-8 texts and doubles. */
export const parquet: TableFormat = {
  async encode(columns, rows) {
    const { parquetWriteBuffer } = await writer();
    const buffer = parquetWriteBuffer({ columnData: columnData(columns, rows) });
    return new Uint8Array(buffer);
  },
  async decode(columns, bytes) {
    const { parquetReadObjects } = await reader();
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const objects = (await parquetReadObjects({ file })) as Record<string, Cell>[];
    return objects.map((object) => columns.map(({ name }) => object[name] ?? null));
  },
};

/** Rows of a row group of a merged table. */
const groupRows = 100_000;

/** Writes a Parquet file of any length, with a row group at a time in memory. */
export async function openParquetWriter(
  columns: readonly Column[],
  sink: (bytes: Uint8Array) => void,
): Promise<{ write(rows: readonly (readonly Cell[])[]): Promise<void>; finish(): Promise<void> }> {
  const { ByteWriter, ParquetWriter, schemaFromColumnData } = await writer();
  const bytes = new ByteWriter();
  const flush = () => {
    sink(new Uint8Array(bytes.buffer, 0, bytes.index).slice());
    bytes.index = 0;
  };
  const file = new ParquetWriter({
    writer: bytes,
    schema: schemaFromColumnData({ columnData: columnData(columns, []) }),
  });
  let waiting: (readonly Cell[])[] = [];
  const writeGroup = async () => {
    await file.write({ columnData: columnData(columns, waiting), rowGroupSize: groupRows });
    waiting = [];
    flush();
  };
  return {
    async write(rows) {
      waiting = waiting.concat(rows);
      if (waiting.length >= groupRows) await writeGroup();
    },
    async finish() {
      if (waiting.length > 0) await writeGroup();
      await file.finish();
      flush();
    },
  };
}

const columnData = (columns: readonly Column[], rows: readonly (readonly Cell[])[]) =>
  columns.map(({ name, type }, i) => ({
    name,
    type: type === 'double' ? ('DOUBLE' as const) : ('STRING' as const),
    nullable: true,
    data: rows.map((row) => row[i] ?? null),
  }));

/** Columns of a Parquet file, and its rows one group at a time, so that memory does not grow with the file. */
export async function openParquet(
  path: string,
): Promise<{ columns: readonly Column[]; rows: () => AsyncIterable<Readonly<Record<string, unknown>>> }> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await reader();
  const file = isS3(path) ? await objectBuffer(path) : await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const columns = parquetSchema(metadata).children.map(
    ({ element }): Column => ({
      name: element.name,
      type: ['DOUBLE', 'FLOAT', 'INT32', 'INT64'].includes(element.type ?? '') ? 'double' : 'string',
    }),
  );
  return {
    columns,
    async *rows() {
      let from = 0;
      for (const group of metadata.row_groups) {
        const to = from + Number(group.num_rows);
        yield* await parquetReadObjects({ file, metadata, rowStart: from, rowEnd: to });
        from = to;
      }
    },
  };
}
