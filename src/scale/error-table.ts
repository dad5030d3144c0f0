import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { type PlannedRun, rowsOf } from './plan.ts';
import { missingShards } from './result-names.ts';
import { shardErrors } from './shard-errors.ts';
import { openSheet } from './sheet.ts';
import type { Column, TableName } from './table.ts';
import { readWorkerLogs } from './worker-log.ts';

const columns: readonly Column[] = [
  { name: 'path', type: 'string' },
  { name: 'error', type: 'string' },
];

/**
 * Writes the images of some shards that could not be read, and why, in the order of the plan.
 *
 * @returns how many
 */
export async function writeErrors(
  run: PlannedRun,
  shards: readonly number[],
  path: string,
  format: TableName,
  {
    rawCsv,
    advance,
  }: { readonly rawCsv?: boolean | undefined; readonly advance?: ((rows: number) => void) | undefined } = {},
): Promise<number> {
  const sheet = await openSheet(path, format, columns, rawCsv);
  let written = 0;
  try {
    for (const shard of shards) {
      const rows = await shardErrors(run, shard);
      await sheet.write(rows);
      written += rows.length;
      advance?.(rowsOf(run.plan, shard));
    }
    await sheet.commit();
  } catch (error) {
    sheet.abandon();
    throw error;
  }
  return written;
}

/**
 * Writes errors.parquet into the folder of a run that is whole, if images of it could not be read: errors.csv where no package for Parquet
 * is installed. Only shards are looked into of which no worker noted that it had no errors.
 *
 * @returns the file and its rows; undefined where there is none
 */
export async function writeErrorTable(run: PlannedRun): Promise<{ path: string; rows: number } | undefined> {
  const { plan, folder } = run;
  if (plan.task === 'train' || missingShards(run).length > 0) return undefined;
  const clean = new Set<number>();
  for (const { shard, written, errors } of await readWorkerLogs(folder))
    if (written && errors === 0) clean.add(shard);
  const shards: number[] = [];
  for (let shard = 0; shard < plan.shards; shard++)
    if (!clean.has(shard) && (await shardErrors(run, shard)).length > 0) shards.push(shard);
  if (shards.length === 0) return undefined;
  const write = async (format: 'parquet' | 'csv') => {
    const path = join(folder, `errors.${format}`);
    return { path, rows: await writeErrors(run, shards, path, format) };
  };
  return write('parquet').catch((error) => {
    if (error instanceof UserError && /needs the package/.test(error.message)) return write('csv');
    throw error;
  });
}
