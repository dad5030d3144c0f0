import { join } from 'node:path';
import { type Published, publish } from '../common/publish.ts';
import { npyFiles, safetensorsFile } from './feature-files.ts';
import type { Cell } from './manifest.ts';
import { type Plan, type PlannedRun, temporariesOf } from './plan.ts';
import { doneName } from './result-names.ts';
import type { ResultFile, ShardRow } from './shard-row.ts';
import type { Column, TableName } from './table.ts';
import { tables } from './tables.ts';

/** Columns of a run's tables. */
export function columnsOf(plan: Plan, results: readonly Column[]): readonly Column[] {
  const text = (name: string): Column => ({ name, type: 'string' });
  return [text('path'), ...results, ...plan.extra, text('error')];
}

/**
 * Publishes a shard's result: `written` if this call did, `same` if another had.
 *
 * @throws PublishConflict if another had, and came to other bytes
 */
export async function publishShard(
  run: PlannedRun,
  shard: number,
  columns: readonly Column[],
  rows: readonly ShardRow[],
): Promise<Published> {
  let published: Published = 'same';
  for (const { name, bytes } of await filesOf(run.plan, shard, columns, rows))
    published = publish(join(run.folder, name), bytes, temporariesOf(run.folder));
  return published;
}

/** In the order of publication: the last one marks the shard as done. */
async function filesOf(
  plan: Plan,
  shard: number,
  columns: readonly Column[],
  rows: readonly ShardRow[],
): Promise<readonly ResultFile[]> {
  if (plan.format === 'npy') return npyFiles(plan, shard, rows);
  if (plan.format === 'safetensors') return [await safetensorsFile(plan, shard, rows)];
  const blanks = columns.map((): Cell => null);
  const cells = rows.map(({ path, extra, cells = blanks, error = null }) => [
    path,
    ...cells,
    ...extra,
    error,
  ]);
  const bytes = await tables[plan.format as TableName].encode(columnsOf(plan, columns), cells);
  return [{ name: doneName(plan, shard), bytes }];
}
