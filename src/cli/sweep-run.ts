import { Stopped, UserError } from '../common/errors.ts';
import { prepareFolder } from '../common/files.ts';
import { writeManifest } from '../scale/manifest.ts';
import { parsePart } from '../scale/partition.ts';
import { hasPlan, type PlannedRun, readPlan, requireSame, writePlan } from '../scale/plan.ts';
import { usePlanVariants } from '../scale/plan-variants.ts';
import { missingShards } from '../scale/result-names.ts';
import { readSweep, runPlace, sweepIdentity, sweepRows } from '../scale/sweep.ts';
import { SweepWorker } from '../scale/sweep-worker.ts';
import { shardsToDo } from '../scale/work.ts';
import type { Settings } from '../training/settings.ts';
import { interruptedStatus, watchInterrupts } from './interrupt.ts';
import { queueRun } from './queue-run.ts';
import type { ShardFlags } from './shard-options.ts';
import { tryAgain } from './shard-run.ts';
import { startGpu, terminal } from './start.ts';

export interface SweepFlags extends Pick<ShardFlags, 'planOnly' | 'shard' | 'queue' | 'detach' | 'retry'> {
  sweep?: string;
}

const tell = (label: string, text: string) => terminal.line(`${label.padEnd(10)} ${text}`);

/** Trains the runs of a sweep that are not finished; each is a shard of a plan in the folder `out`. */
export async function sweepRun(out: string, flags: SweepFlags, base: Settings): Promise<void> {
  const run = await planSweep(out, flags.sweep!, base);
  const { plan } = run;
  if (flags.planOnly) {
    tell('plan', `${plan.shards} runs in ${out}`);
    return;
  }
  if (flags.queue) {
    await queueRun(run, flags);
    return;
  }
  const signal = watchInterrupts();
  const part = flags.shard === undefined ? undefined : parsePart(flags.shard);
  const todo = shardsToDo(run, part);
  tell(
    'plan',
    `${part ? `part ${part.part} of ${part.of}: ` : ''}${todo.length} of ${plan.shards} runs to do`,
  );
  if (todo.length > 0) await trainAll(run, todo, signal);
  const missing = missingShards(run);
  tell('results', `${plan.shards - missing.length} of ${plan.shards} runs finished in ${out}`);
}

async function trainAll(run: PlannedRun, todo: readonly number[], signal: AbortSignal): Promise<void> {
  const gpu = await startGpu(terminal);
  usePlanVariants(run, gpu);
  const worker = await SweepWorker.open(run, gpu, { reporter: terminal });
  const again = 'run the same command again for the rest';
  let done = 0;
  try {
    for (const shard of todo) {
      if (signal.aborted) throw stopped(`after ${done} of ${todo.length} runs; ${again}`);
      tell(`run ${shard}`, runPlace(run.folder, shard));
      const { outcome } = await worker.shard(shard, { signal });
      if (outcome === 'stopped') throw stopped(`in run ${shard}, after ${done} of ${todo.length}; ${again}`);
      if (outcome === 'busy') tell('left out', `run ${shard}: another process is at it`);
      else done++;
    }
  } finally {
    await worker.close();
    gpu.close();
  }
}

const stopped = (what: string) =>
  new Stopped(what, undefined, interruptedStatus() === 143 ? tryAgain : undefined);

async function planSweep(out: string, file: string, base: Settings): Promise<PlannedRun> {
  const sweep = readSweep(file);
  const rows = sweepRows(sweep, { ...base, out: '' }, file);
  const given = { task: 'train', runs: rows.map(({ prompt }) => prompt) };
  if (hasPlan(out)) {
    const run = await readPlan(out);
    requireSame(run, { task: 'train' });
    if (JSON.stringify(run.plan.request.runs) !== JSON.stringify(given.runs))
      throw new UserError(
        `${out} was planned with other runs than ${file} and the settings say`,
        'Choose another folder with --out.',
      );
    return run;
  }
  prepareFolder(out);
  const identity = await sweepIdentity(rows.map(({ prompt }) => JSON.parse(prompt!) as Settings));
  const written = await writeManifest(out, rows, 1);
  const extra = sweep.names.map((name, i) => ({
    name,
    type: sweep.runs.every((run) => typeof run[i]![1] === 'number')
      ? ('double' as const)
      : ('string' as const),
  }));
  return writePlan(out, {
    version: 1,
    task: 'train',
    request: given,
    settings: {},
    identity,
    variants: {},
    format: 'run',
    unit: 'run',
    extra,
    root: process.cwd(),
    shardSize: 1,
    ...written,
  });
}
