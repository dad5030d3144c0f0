import { resolve } from 'node:path';
import { environmentVariable } from '../common/environment.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { prepareFolder } from '../common/files.ts';
import { tuningVariable } from '../kernels/node/file-store.ts';
import { type ImagesRequest, imagesOf } from '../scale/images-of.ts';
import { writeManifest } from '../scale/manifest.ts';
import { parsePart } from '../scale/partition.ts';
import {
  hasPlan,
  type Plan,
  type PlannedRun,
  readPlan,
  requireIdentity,
  requireSame,
  rowsOf,
  writePlan,
} from '../scale/plan.ts';
import { usePlanVariants, variantsInForce, variantsOfFile } from '../scale/plan-variants.ts';
import { missingShards } from '../scale/result-names.ts';
import { ShardRunner } from '../scale/run-shard.ts';
import type { Column } from '../scale/table.ts';
import { taskOf } from '../scale/tasks.ts';
import { ShardWorker, shardsToDo } from '../scale/work.ts';
import { interruptedStatus, watchInterrupts } from './interrupt.ts';
import { queueRun } from './queue-run.ts';
import { reportErrors } from './run-errors.ts';
import type { ShardFlags } from './shard-options.ts';
import { startGpu, terminal } from './start.ts';

/** Images of a shard where nobody says: 20 to 60 seconds of work on a fast GPU. */
const defaultShardSize = 1000;

/** The exit status of work that was asked to stop and is to be called again (EX_TEMPFAIL of sysexits.h): schedulers requeue it. */
export const tryAgain = 75;

/** What a command asks to be computed. */
export interface ShardRequest {
  readonly task: 'score' | 'encode';
  readonly images: ImagesRequest;
  /** What was given on the command line, of all that decides results: a plan that exists already must have it alike. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Files that are known by what is in them, so that each machine may have its own paths. */
  readonly places: Readonly<Record<string, string | undefined>>;
  /** Of a new plan. */
  settings(images: { readonly prompts: boolean }): Promise<Plan['settings']>;
}

const tell = (label: string, text: string) => terminal.line(`${label.padEnd(10)} ${text}`);

/** Makes the plan, or takes the one that is there, which must be the same. */
export async function planRun(folder: string, flags: ShardFlags, request: ShardRequest): Promise<PlannedRun> {
  const { images, list } = request.images;
  const given = {
    task: request.task,
    images: images.length > 0 ? images : undefined,
    list,
    root: request.images.root,
    imageColumn: request.images.imageColumn,
    promptColumn: request.images.promptColumn,
    shardSize: flags.shardSize,
    format: flags.format,
    ...request.given,
  };
  if (hasPlan(folder)) {
    const run = await readPlan(folder);
    // Images may lie elsewhere on this machine.
    requireSame(run, { ...given, root: undefined });
    const places = Object.fromEntries(
      Object.entries(request.places).filter(([, path]) => path !== undefined),
    );
    return { ...run, plan: { ...run.plan, settings: { ...run.plan.settings, ...places } } };
  }
  if (images.length === 0 && list === undefined)
    throw new UserError(
      `${folder} holds no plan yet, and no images are named`,
      'Name images, folders, or --list FILE.',
    );
  prepareFolder(folder);
  const found = await imagesOf(request.images);
  const settings = await request.settings(found);
  const kind = taskOf(request);
  const identity = await kind.identify({ settings });
  if (found.unit === 'tar' && flags.shardSize !== undefined)
    throw new UserError('a tar is a shard by itself', 'Omit --shard-size.');
  const shardSize = found.unit === 'tar' ? 1 : (flags.shardSize ?? defaultShardSize);
  const written = await writeManifest(folder, found.rows, shardSize);
  if (found.leftOut() !== '') tell('left out', found.leftOut());
  if (written.rows === 0) throw new UserError(`${list}: holds no images`);
  return writePlan(folder, {
    version: 1,
    task: request.task,
    request: given,
    settings,
    identity,
    ...(await variantsFor(flags)),
    format: (flags.format ?? (request.task === 'score' ? 'csv' : 'npy')) as Plan['format'],
    extra: apart(found.extra, kind.columns({ settings })),
    root: found.root,
    unit: found.unit,
    shardSize,
    ...written,
  });
}

/** A list's columns, those under another name that are called as a column of the results. */
function apart(extra: readonly Column[], results: readonly Column[]): Column[] {
  const taken = new Set([...results, ...extra].map(({ name }) => name));
  return extra.map((column) => {
    if (results.every(({ name }) => name !== column.name)) return column;
    let name = column.name;
    while (taken.has(name)) name = `list_${name}`;
    taken.add(name);
    return { ...column, name };
  });
}

/** Of this machine's adapter, or of the file given; a plan that is made where there is neither leaves the choice to rules, which are the same everywhere. */
async function variantsFor({ planOnly, queue }: ShardFlags) {
  if (planOnly || queue) return variantsOfFile(environmentVariable(tuningVariable));
  const gpu = await startGpu({ line: () => {}, bar: terminal.bar });
  const variants = variantsInForce(gpu);
  gpu.close();
  return variants;
}

/** Does with a plan what the options say. */
export async function workRun(
  run: PlannedRun,
  flags: ShardFlags & { readonly root?: string },
): Promise<void> {
  if (flags.planOnly) {
    const { rows, shards, shardSize } = run.plan;
    tell('plan', `${rows} ${run.plan.unit}s in ${shards} shards of ${shardSize}, in ${run.folder}`);
    return;
  }
  if (flags.queue) await queueRun(run, flags);
  else await workThrough(run, flags, flags.root);
}

/** Works through a plan here: all of it, or the part that `--shard` says. */
export async function workThrough(run: PlannedRun, flags: ShardFlags, root?: string): Promise<void> {
  const { plan } = run;
  const part = flags.shard === undefined ? undefined : parsePart(flags.shard);
  const todo = shardsToDo(run, part);
  const of = part ? `part ${part.part} of ${part.of}: ` : '';
  tell('plan', `${of}${todo.length} of ${plan.shards} shards to do, ${plan.rows} ${plan.unit}s in all`);
  if (todo.length === 0) return;
  const signal = watchInterrupts();
  const kind = taskOf(plan);
  requireIdentity(run, await kind.identify(plan));
  const gpu = await startGpu(terminal);
  usePlanVariants(run, gpu);
  const task = await kind.open(gpu, plan, terminal);
  const bar = terminal.bar(
    plan.task === 'score' ? 'scoring' : 'encoding',
    todo.reduce((sum, shard) => sum + rowsOf(plan, shard), 0),
  );
  const worker = await ShardWorker.open(new ShardRunner(run, task, root), gpu, { ...flags, signal, bar });
  let done = 0;
  try {
    for (const shard of todo) {
      if (signal.aborted) break;
      const { outcome } = await worker.shard(shard);
      if (outcome === 'stopped') break;
      done++;
    }
  } finally {
    bar.stop();
    worker.close();
  }
  await task.close();
  gpu.close();
  tell('results', `${worker.done.written} shards written to ${run.folder}`);
  if (done < todo.length)
    throw new Stopped(
      `after ${done} of ${todo.length} shards; run the same command again for the rest`,
      undefined,
      interruptedStatus() === 143 ? tryAgain : undefined,
    );
  if (missingShards(run).length === 0) await reportErrors(run);
  else if (worker.done.errors > 0) terminal.warn(`skipped    ${worker.done.errors} images could not be read`);
}

/** A path that is to mean the same wherever the plan is read. */
export const absolute = (path: string | undefined): string | undefined =>
  path === undefined || path === 'embedded' ? path : resolve(path);
