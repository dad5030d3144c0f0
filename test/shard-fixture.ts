import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silent } from '../src/common/reporter.ts';
import { mergeRun } from '../src/scale/merge.ts';
import { type PlannedRun, readPlan } from '../src/scale/plan.ts';
import { type ShardOptions, ShardRunner } from '../src/scale/run-shard.ts';
import { taskOf } from '../src/scale/tasks.ts';
import { ShardWorker, shardsToDo } from '../src/scale/work.ts';
import { sharedGpu } from './gpu.ts';

/** Works through what is missing of a run, or of a part of it, in this process. */
export async function work(
  folder: string,
  options: {
    readonly part?: { readonly part: number; readonly of: number };
    readonly maxErrors?: number;
    readonly probe?: ShardOptions['probe'];
  } = {},
): Promise<{ run: PlannedRun; shards: readonly number[] }> {
  const run = await readPlan(folder);
  const gpu = await sharedGpu();
  const task = await taskOf(run.plan).open(gpu, run.plan, silent);
  const { maxErrors, part, probe } = options;
  const worker = await ShardWorker.open(new ShardRunner(run, task), gpu, {
    signal: new AbortController().signal,
    maxErrors,
  });
  const shards = shardsToDo(run, part);
  try {
    for (const shard of shards) await worker.shard(shard, { probe });
  } finally {
    worker.close();
    await task.close();
  }
  return { run, shards };
}

/** What merge writes. */
export async function merged(folder: string, options: { readonly errors?: boolean } = {}): Promise<string> {
  const path = join(folder, 'merged.csv');
  await mergeRun(await readPlan(folder), path, 'csv', options);
  return readFileSync(path, 'utf8');
}
