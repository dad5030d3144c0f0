import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../common/errors.ts';
import { anyObject, count, parseJson } from '../common/json.ts';
import { publish } from '../common/publish.ts';
import { readText } from '../common/read-file.ts';
import { isS3 } from './s3/s3-url.ts';

const text = v.string();
const digest = v.pipe(text, v.regex(/^[0-9a-f]{16,64}$/));

const planSchema = v.object({
  version: v.literal(1),
  task: v.picklist(['score', 'encode', 'train']),
  /** What was asked for, as the command line had it, so that the same command line goes on with the plan. */
  request: v.record(text, v.unknown()),
  /** What decides the results; each task reads its own. */
  settings: anyObject,
  /** What the results are computed with, by digest: a worker that has something else refuses. */
  identity: v.record(text, v.union([text, v.number()])),
  /** Kernel variants by shape, in place of each machine's own measurements. */
  variants: v.record(text, text),
  /** The adapter, driver and features that these were measured on; left out where there are none. */
  tunedFor: v.optional(text),
  format: v.picklist(['csv', 'jsonl', 'parquet', 'npy', 'safetensors', 'run']),
  /** Columns of the list that are carried through, and whether they hold numbers. */
  extra: v.array(v.object({ name: text, type: v.picklist(['string', 'double']) })),
  /** What a row of the manifest is: an image, or a tar of images or a training run, which are then shards by themselves. */
  unit: v.picklist(['image', 'tar', 'run']),
  /** The folder all images lie in, or a bucket's prefix. */
  root: v.pipe(
    text,
    v.check((root) => isAbsolute(root) || isS3(root), 'an absolute path or an s3:// URL'),
  ),
  manifest: v.object({ name: digest, sha256: digest }),
  rows: count,
  /** Rows of a shard, the last of which may have fewer. */
  shardSize: v.pipe(count, v.minValue(1)),
  shards: v.pipe(count, v.maxValue(10_000_000)),
});

/** All that decides what is computed, and of what: `plan.json` of a run's folder, which never changes. */
export type Plan = v.InferOutput<typeof planSchema>;

/** What of a run is computed in which way; see {@link Plan}. */
export type ShardFormat = Plan['format'];

/** A folder with its plan. */
export interface PlannedRun {
  readonly folder: string;
  readonly plan: Plan;
  /** 132 bits of the SHA-256 of plan.json in 22 characters: names the plan in queues, whose memory they take. */
  readonly digest: string;
}

export const planPath = (folder: string): string => join(folder, 'plan.json');
export const temporariesOf = (folder: string): string => join(folder, 'tmp');
export const hasPlan = (folder: string): boolean => existsSync(planPath(folder));

/** Reads a run's plan. Throws `UserError` if there is none, or it makes no sense. */
export async function readPlan(folder: string): Promise<PlannedRun> {
  const path = planPath(folder);
  if (!existsSync(path))
    throw new UserError(`${folder} holds no plan.json`, 'Plan first: node dist/score.js IMAGES --out DIR');
  const content = await readText(path, 'jsonBytes');
  const plan = parseJson(content, planSchema, path);
  if (Math.ceil(plan.rows / plan.shardSize) !== plan.shards)
    throw new UserError(`${path}: ${plan.rows} rows make no ${plan.shards} shards of ${plan.shardSize}`);
  return { folder, plan, digest: digestOf(content) };
}

/** Writes a plan, once: of several at the same moment the first one stays, and all go on with it. */
export async function writePlan(folder: string, plan: Plan): Promise<PlannedRun> {
  const content = `${JSON.stringify(plan, null, 1)}\n`;
  try {
    publish(planPath(folder), Buffer.from(content), temporariesOf(folder));
  } catch (error) {
    if (!hasPlan(folder)) throw error;
  }
  return readPlan(folder);
}

const digestOf = (content: string): string =>
  createHash('sha256').update(content).digest('base64url').slice(0, 22);

/** Rows of a shard. */
export const rowsOf = ({ rows, shardSize }: Plan, shard: number): number =>
  Math.min(shardSize, rows - shard * shardSize);

/** A shard's number as files have it. */
export const shardName = (shard: number): string => String(shard).padStart(6, '0');

/**
 * Refuses to go on with a plan that computes something else than is asked for now. Only what is given is compared, and paths are not,
 * where {@link requireIdentity} compares what is in the files.
 */
export function requireSame(run: PlannedRun, asked: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(asked)) {
    if (value === undefined) continue;
    const planned = run.plan.request[name];
    if (JSON.stringify(planned) === JSON.stringify(value)) continue;
    throw new UserError(
      `${run.folder} was planned with ${name} ${shownSetting(planned)}, not ${shownSetting(value)}`,
      'A plan never changes: choose another folder with --out, or omit the option.',
    );
  }
}

/** Refuses to work on a plan whose results this machine would compute otherwise. */
export function requireIdentity(run: PlannedRun, own: Plan['identity']): void {
  for (const name of new Set([...Object.keys(run.plan.identity), ...Object.keys(own)])) {
    const [planned, here] = [run.plan.identity[name], own[name]];
    if (planned === here) continue;
    throw new UserError(
      `${run.folder}: the plan's ${name} is ${planned ?? 'none'}, here it is ${here ?? 'none'}`,
      'Results would differ: use the same files and the same version of this package on all machines, or make a new plan.',
    );
  }
}

const shownSetting = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value));
