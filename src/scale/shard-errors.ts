import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../common/json.ts';
import { readWhole } from '../common/read-file.ts';
import { openSafetensors } from '../data/formats/safetensors-file.ts';
import type { Cell } from './manifest.ts';
import { columnsOf } from './outputs.ts';
import type { PlannedRun } from './plan.ts';
import { doneName, npyName } from './result-names.ts';
import type { TableName } from './table.ts';
import { tables } from './tables.ts';
import { taskOf } from './tasks.ts';

const text = (name: string) => ({ name, type: 'string' as const });
const errorList = v.array(v.object({ path: v.string(), error: v.string() }));

/** Paths and reasons of the images of a shard that could not be read. */
export async function shardErrors(run: PlannedRun, shard: number): Promise<readonly (readonly Cell[])[]> {
  const { folder, plan } = run;
  const path = join(folder, doneName(plan, shard));
  if (plan.format === 'npy') {
    const file = join(folder, npyName('errors', shard, plan.shards, 'jsonl'));
    if (!existsSync(file)) return [];
    return tables.jsonl.decode([text('path'), text('error')], await readWhole(file, 'imageBytes'), file);
  }
  if (plan.format === 'safetensors') {
    const file = await openSafetensors(path);
    const listed = file.metadata.errors;
    await file.close();
    if (listed === undefined) return [];
    return parseJson(listed, errorList, `${path}, metadata errors`).map(({ path, error }) => [path, error]);
  }
  const columns = columnsOf(plan, taskOf(plan).columns(plan));
  const rows = await tables[plan.format as TableName].decode(
    columns,
    await readWhole(path, 'imageBytes'),
    path,
  );
  return rows.filter((row) => row.at(-1)).map((row) => [row[0]!, row.at(-1)!]);
}
