import type { PlannedRun } from './plan.ts';
import { rowsOf } from './plan.ts';
import { missingShards } from './result-names.ts';
import { readWorkerLogs, type ShardRecord } from './worker-log.ts';

/** How far a run has come, by what lies in its folder and what its workers noted. */
export interface RunStatus {
  readonly folder: string;
  readonly task: string;
  readonly shards: { readonly done: number; readonly of: number };
  readonly rows: { readonly done: number; readonly of: number };
  readonly errors: number;
  /** How often each reason, the most frequent first. */
  readonly reasons: readonly (readonly [reason: string, count: number])[];
  /** Rows a second over the last ten minutes, of all workers; 0 where nothing was finished. */
  readonly rate: number;
  /** Seconds left at this rate; null where nothing tells. */
  readonly left: number | null;
  readonly workers: readonly WorkerStatus[];
  readonly adapters: readonly string[];
  /** Shards that took longest. */
  readonly slowest: readonly ShardRecord[];
  /** Seconds that all shards took, and how many these are. */
  readonly spent: {
    readonly shards: number;
    /** Of all threads, beside the device's work: reading images, and decoding and resizing them. */
    readonly read: number;
    readonly decode: number;
    /** Of the device: without an image that was ready, and computing. */
    readonly waited: number;
    readonly computed: number;
    /** Writing results. */
    readonly published: number;
  };
}

/** One worker. */
export interface WorkerStatus {
  readonly name: string;
  readonly adapter: string;
  readonly shards: number;
  readonly rows: number;
  /** Seconds since it last finished a shard. */
  readonly idle: number;
}

/** Seconds over which the rate is taken. */
const recently = 600;

/** Reads it. `now` in milliseconds since 1970. */
export async function statusOf(run: PlannedRun, now = Date.now()): Promise<RunStatus> {
  const { plan, folder } = run;
  const missing = missingShards(run);
  const left = missing.reduce((sum, shard) => sum + rowsOf(plan, shard), 0);
  const all = await readWorkerLogs(folder);
  const records = all.filter(({ written }) => written);
  const reasons = new Map<string, number>();
  for (const record of records)
    for (const [reason, count] of Object.entries(record.reasons))
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  const rate = rateOf(records, now);
  const sum = (name: 'read' | 'decode' | 'waited' | 'computed' | 'published') =>
    all.reduce((total, record) => total + record[name], 0);
  return {
    folder,
    task: plan.task,
    shards: { done: plan.shards - missing.length, of: plan.shards },
    rows: { done: plan.rows - left, of: plan.rows },
    errors: records.reduce((total, { errors }) => total + errors, 0),
    reasons: [...reasons].sort(([, a], [, b]) => b - a),
    rate,
    left: left === 0 ? 0 : rate > 0 ? left / rate : null,
    workers: workersOf(records, now),
    adapters: [...new Set(records.map(({ adapter, driver }) => `${adapter} (${driver})`))].sort(),
    slowest: [...records].sort((a, b) => b.seconds - a.seconds).slice(0, 5),
    spent: {
      shards: all.length,
      read: sum('read'),
      decode: sum('decode'),
      waited: sum('waited'),
      computed: sum('computed'),
      published: sum('published'),
    },
  };
}

/** Over the time that the recent shards took, which is shorter than ten minutes at the beginning. */
function rateOf(records: readonly ShardRecord[], now: number): number {
  const recent = records.filter(({ at }) => at > now - recently * 1000);
  if (recent.length === 0) return 0;
  const began = Math.min(...recent.map(({ at, seconds }) => at - seconds * 1000));
  const seconds = Math.max(
    0.001,
    (Math.max(...recent.map(({ at }) => at)) - Math.max(began, now - recently * 1000)) / 1000,
  );
  return recent.reduce((sum, { rows }) => sum + rows, 0) / seconds;
}

function workersOf(records: readonly ShardRecord[], now: number): WorkerStatus[] {
  const byName = new Map<string, ShardRecord[]>();
  for (const record of records) byName.set(record.worker, [...(byName.get(record.worker) ?? []), record]);
  return [...byName].map(([name, own]) => ({
    name,
    adapter: own.at(-1)!.adapter,
    shards: own.length,
    rows: own.reduce((sum, { rows }) => sum + rows, 0),
    idle: (now - Math.max(...own.map(({ at }) => at))) / 1000,
  }));
}

/** In Prometheus's text format (https://prometheus.io/docs/instrumenting/exposition_formats/), e.g. for node_exporter's textfile collector. */
export function metricsText(status: RunStatus): string {
  const label = `{run="${status.folder.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"}`;
  const figures: [string, string, number][] = [
    ['shards', 'Shards of the plan.', status.shards.of],
    ['shards_done', 'Shards whose result is there.', status.shards.done],
    ['rows', 'Rows of the plan.', status.rows.of],
    ['rows_done', 'Rows of the shards whose result is there.', status.rows.done],
    ['errors', 'Images that could not be read.', status.errors],
    ['rows_per_second', 'Rows a second over the last ten minutes.', status.rate],
  ];
  return figures
    .map(([name, help, value]) => {
      const full = `clip_agiqa_${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${full}${label} ${value}\n`;
    })
    .join('');
}
