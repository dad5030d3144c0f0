import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { readWhole } from '../common/read-file.ts';
import { writeErrors } from './error-table.ts';
import { type Cell, Manifest } from './manifest.ts';
import { columnsOf } from './outputs.ts';
import { type PlannedRun, rowsOf, shardName } from './plan.ts';
import { doneName, missingShards } from './result-names.ts';
import { openSheet } from './sheet.ts';
import { figureNames, runFigures } from './sweep.ts';
import type { Column, TableName } from './table.ts';
import { tables } from './tables.ts';
import { taskOf } from './tasks.ts';

export interface MergeOptions {
  /** Leaves out shards that are not there yet, where it would refuse. */
  readonly partial?: boolean | undefined;
  /** Only images that could not be read: their paths and reasons. */
  readonly errors?: boolean | undefined;
  /** Names as they are; see {@link csvLines}. */
  readonly rawCsv?: boolean | undefined;
  readonly advance?: ((rows: number) => void) | undefined;
}

/**
 * Writes the results of all shards as one table, in the order of the plan. A shard at a time is in memory.
 *
 * @returns rows written
 * @throws UserError where shards are missing, or one has not the rows that the plan says
 */
export async function mergeRun(
  run: PlannedRun,
  path: string,
  format: TableName,
  options: MergeOptions = {},
): Promise<number> {
  const { plan, folder } = run;
  const missing = new Set(missingShards(run));
  if (missing.size > 0 && !options.partial)
    throw new UserError(
      `${missing.size} of ${plan.shards} shards of ${folder} are not there yet`,
      'Run them, or merge what there is with --partial.',
    );
  if (plan.task === 'train') return mergeSweep(run, path, format, missing, options);
  const isTable = plan.format === 'csv' || plan.format === 'jsonl' || plan.format === 'parquet';
  if (!isTable && !options.errors)
    throw new UserError(
      `${folder} holds features, which stay a file a shard`,
      'Read them as they are; --errors writes a table of the images that could not be read.',
    );
  if (options.errors) {
    const shards = Array.from({ length: plan.shards }, (_, shard) => shard).filter(
      (shard) => !missing.has(shard),
    );
    return writeErrors(run, shards, path, format, options);
  }
  const columns = columnsOf(plan, taskOf(plan).columns(plan));
  const sheet = await openSheet(path, format, columns, options.rawCsv);
  let written = 0;
  try {
    for (let shard = 0; shard < plan.shards; shard++) {
      if (missing.has(shard)) continue;
      const rows = await readShard(run, shard, columns);
      await sheet.write(rows);
      written += rows.length;
      options.advance?.(rowsOf(plan, shard));
    }
    await sheet.commit();
  } catch (error) {
    sheet.abandon();
    throw error;
  }
  return written;
}

/** A row a run: what the sweep set, and what came of it on the test set. */
async function mergeSweep(
  { folder, plan }: PlannedRun,
  path: string,
  format: TableName,
  missing: ReadonlySet<number>,
  { rawCsv, errors }: MergeOptions,
): Promise<number> {
  if (errors) throw new UserError(`${folder} is a sweep, whose runs have no errors`, 'Omit --errors.');
  const manifest = new Manifest(folder, plan.manifest, plan.shards);
  const figures = figureNames.map((name): Column => ({ name, type: 'double' }));
  const columns: Column[] = [{ name: 'run', type: 'string' }, ...plan.extra, ...figures];
  const rows: Cell[][] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    if (missing.has(shard)) continue;
    const [row] = await manifest.read(shard);
    rows.push([`run-${shardName(shard)}`, ...(row?.extra ?? []), ...(await runFigures(folder, shard))]);
  }
  const sheet = await openSheet(path, format, columns, rawCsv);
  try {
    await sheet.write(rows);
    await sheet.commit();
  } catch (error) {
    sheet.abandon();
    throw error;
  }
  return rows.length;
}

/** Rows of a shard's table, checked: as many as the plan says. */
export async function readShard(
  { folder, plan }: PlannedRun,
  shard: number,
  columns: readonly Column[],
): Promise<readonly (readonly Cell[])[]> {
  const path = join(folder, doneName(plan, shard));
  const rows = await tables[plan.format as TableName].decode(
    columns,
    await readWhole(path, 'imageBytes'),
    path,
  );
  if (plan.unit === 'tar' || rows.length === rowsOf(plan, shard)) return rows;
  throw new UserError(
    `${path}: holds ${rows.length} rows of ${rowsOf(plan, shard)}`,
    'It is damaged: remove it, and run its shard again.',
  );
}
