/** What plans, shards and queues cost beside the images themselves: with a model that computes nothing, so that all that is left is theirs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { startRedis } from '../../scripts/queue-servers.mjs';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { countOption } from '../../src/cli/numbers.ts';
import { ScoreSheet } from '../../src/cli/score-sheet.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { imagesOf } from '../../src/scale/images-of.ts';
import { type ManifestRow, type WrittenManifest, writeManifest } from '../../src/scale/manifest.ts';
import { mergeRun } from '../../src/scale/merge.ts';
import { type Plan, type PlannedRun, writePlan } from '../../src/scale/plan.ts';
import { openQueueServer } from '../../src/scale/queue/connection.ts';
import { handOut } from '../../src/scale/queue/hand-out.ts';
import { takeShards } from '../../src/scale/queue/take.ts';
import { ShardRunner } from '../../src/scale/run-shard.ts';
import type { Task } from '../../src/scale/task.ts';
import { ShardWorker, shardsToDo } from '../../src/scale/work.ts';
import { findImages } from '../../src/scoring/images.ts';

const command = createCommand(
  'bench/lab/shards',
  'Measures what plans, shards and queues cost: processor time an image, memory by shard, and memory of the queue.',
  ['node dist/bench/lab/shards.js', 'node dist/bench/lab/shards.js --images 20000'],
)
  .option('--images <n>', 'rows of the plan whose memory is watched', countOption('--images'), 100_000)
  .option('--jobs <n>', 'jobs of the queue: 15625 of 64 are a million images', countOption('--jobs'), 15_625);

/** Files there are. Longer plans have each several times. */
const files = 12_800;

const fileOf = (i: number): string => join(String(Math.floor((i % files) / 1000)), `image-${i % files}.png`);

const seconds = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};

const nullTask = (kind: 'score' | 'encode'): Task => ({
  columns: kind === 'score' ? [{ name: 'score', type: 'double' }] : [],
  async *compute(images) {
    for (const { index } of images)
      yield kind === 'score' ? { index, cells: [index / 7] } : { index, feature: new Float32Array(512) };
  },
  times: () => ({ read: 0, decode: 0, waited: 0, computed: 0 }),
  close: async () => {},
});

const nullGpu = { latest: { adapter: { name: 'none', driver: '' } } } as unknown as Gpu;

function print(label: string, text: string): void {
  process.stdout.write(`${label.padEnd(16)} ${text}\n`);
}

function makeFiles(root: string): void {
  for (let i = 0; i < files; i++) {
    if (i % 1000 === 0) mkdirSync(join(root, String(i / 1000)), { recursive: true });
    writeFileSync(join(root, fileOf(i)), '');
  }
}

/** What `score` does without a plan beside scoring: finding the images, and writing their scores. */
async function plainCpu(root: string, csv: string): Promise<number> {
  const before = process.cpuUsage();
  const { paths } = await findImages([root]);
  const sheet = new ScoreSheet([], { csv });
  for (const [index, path] of paths.entries()) sheet.take({ index, path, score: index / 7 });
  sheet.finish([]);
  return seconds(before);
}

/** What it does with one: finding them, planning, computing shard by shard, and merging. */
async function shardedCpu(root: string, run: string, size: number): Promise<number> {
  const before = process.cpuUsage();
  mkdirSync(run);
  const found = await imagesOf({ images: [root] });
  const written = await writeManifest(run, found.rows, size);
  const planned = await writePlan(run, planOf('score', found.root, size, written));
  await workThrough(planned, 'score');
  await mergeRun(planned, join(run, 'merged.csv'), 'csv');
  return seconds(before);
}

/** Each in turn, so that what else the machine does falls on all alike; the first round warms up the compiler. */
async function measureOverhead(folder: string, root: string): Promise<void> {
  const samples: Record<string, number[]> = { plain: [], 64: [], 1000: [] };
  for (let round = 0; round < 6; round++) {
    const found = {
      plain: await plainCpu(root, join(folder, 'plain.csv')),
      64: await shardedCpu(root, join(folder, `run-64-${round}`), 64),
      1000: await shardedCpu(root, join(folder, `run-1000-${round}`), 1000),
    };
    if (round > 0) for (const [name, value] of Object.entries(found)) samples[name]!.push(value);
  }
  const micro = (name: string) => (1e6 * Math.min(...samples[name]!)) / files;
  print('without a plan', `${micro('plain').toFixed(1)} µs of processor time an image`);
  for (const size of ['64', '1000'])
    print(
      `shards of ${size}`,
      `${micro(size).toFixed(1)} µs, ${(micro(size) - micro('plain')).toFixed(1)} more`,
    );
}

async function makePlan(
  folder: string,
  root: string,
  { kind, count, size }: { kind: 'score' | 'encode'; count: number; size: number },
): Promise<PlannedRun> {
  mkdirSync(folder);
  function* rows(): Iterable<ManifestRow> {
    for (let i = 0; i < count; i++) yield { path: fileOf(i) };
  }
  const written = await writeManifest(folder, rows(), size);
  return writePlan(folder, planOf(kind, root, size, written));
}

const planOf = (
  kind: 'score' | 'encode',
  root: string,
  shardSize: number,
  written: WrittenManifest,
): Plan => ({
  version: 1,
  task: kind,
  request: {},
  identity: {},
  variants: {},
  extra: [],
  root,
  shardSize,
  ...written,
  settings: kind === 'score' ? { batch: 8 } : { width: 512, featureType: 'float32' },
  format: kind === 'score' ? 'csv' : 'npy',
  unit: 'image',
});

/** Seconds of processor time, and the memory after each shard; `collect`: once what is no longer used is freed. */
async function workThrough(run: PlannedRun, kind: 'score' | 'encode', collect?: () => void) {
  const memory: number[] = [];
  let peak = 0;
  const before = process.cpuUsage();
  const signal = new AbortController().signal;
  const worker = await ShardWorker.open(new ShardRunner(run, nullTask(kind)), nullGpu, { signal });
  for (const shard of shardsToDo(run)) {
    await worker.shard(shard);
    peak = Math.max(peak, process.memoryUsage.rss());
    collect?.();
    memory.push(process.memoryUsage.rss());
  }
  worker.close();
  return { memory, peak, cpu: seconds(before) };
}

/** A million images, handed out and taken by this process, which does nothing with them. */
async function measureQueue(run: PlannedRun, jobs: number): Promise<void> {
  const server = await startRedis();
  const redis = new Redis(new URL(server.url).pathname);
  try {
    const info = async (name: string) =>
      Number(new RegExp(`${name}:([\\d.]+)`).exec(await redis.info())?.[1]);
    const serverCpu = async () => (await info('used_cpu_user')) + (await info('used_cpu_sys'));
    const connection = await openQueueServer(new URL(server.url), () => {});
    const queue = connection.queue();
    await queue.waitUntilReady();
    const empty = await info('used_memory');
    const [cpu, cpuOfServer] = [process.cpuUsage(), await serverCpu()];
    await handOut(queue, run);
    const bytes = (await info('used_memory')) - empty;
    print('queue, memory', `${(bytes / jobs / 64).toFixed(2)} MB a million images in shards of 64`);
    let taken = 0;
    await takeShards(connection, {
      signal: new AbortController().signal,
      drain: true,
      lockSeconds: 120,
      report: () => {},
      async compute() {
        taken++;
        return { outcome: 'already', rows: [], seconds: 0, published: 0 };
      },
    });
    if (taken !== jobs) throw new Error(`${taken} of ${jobs} jobs were taken`);
    const [client, its] = [seconds(cpu), (await serverCpu()) - cpuOfServer];
    const micro = (value: number) => ((1e6 * value) / jobs / 64).toFixed(1);
    print(
      'queue, time',
      `${micro(client)} µs of processor time an image in shards of 64, the server's ${micro(its)}`,
    );
    await connection.close();
  } finally {
    redis.disconnect();
    await server.stop();
  }
}

await runCommand<{ images: number; jobs: number } & Record<string, unknown>>(command, async (options) => {
  const folder = mkdtempSync(join(tmpdir(), 'shards-'));
  try {
    const root = join(folder, 'images');
    makeFiles(root);
    const plan = (name: string, kind: 'score' | 'encode', count: number, size: number) =>
      makePlan(join(folder, name), root, { kind, count, size });
    await measureOverhead(folder, root);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const mega = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
    for (const kind of ['score', 'encode'] as const)
      for (const freed of [false, true]) {
        const run = await plan(`memory-${kind}-${freed}`, kind, options.images, 1000);
        const { memory, peak } = await workThrough(run, kind, freed ? collect : undefined);
        const [first = 0, ...rest] = memory;
        print(
          `memory, ${kind}`,
          `${options.images} rows: ${mega(first)} after the first shard, at most ${mega(Math.max(...rest))} after any later; ${freed ? 'collected after each shard' : `as the system shows it, at most ${mega(peak)}`}`,
        );
      }
    await measureQueue(await plan('queue', 'score', options.jobs * 64, 64), options.jobs);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
