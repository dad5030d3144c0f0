/** Times every task here and in the peers, in turns, and checks every result. */
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { openGpu } from '../../src/self-check/open.ts';
import { type Ceiling, ceilingProbe, clockRatio, launchClock, milliseconds } from '../ceiling.ts';
import { Schedule } from '../schedule.ts';
import type { BenchOptions } from '../section.ts';
import { tuneFirst } from '../tune-first.ts';
import { expectedOf, type Sample, sampleError } from './expected.ts';
import { type Prepared, prepareBlock, prepareOurs, type Way } from './ours.ts';
import { installPeers, openPeers, type Peer } from './peers.ts';
import {
  type Inputs,
  kernelTasks,
  packedPrompts,
  sharePrompts,
  type Task,
  taskInputs,
  type Work,
  workOf,
} from './tasks.ts';

/** What a peer did with a task: milliseconds, or what it said instead. */
export type PeerFigure =
  | { readonly milliseconds: number; readonly error: number }
  | { readonly failed: string };

/** Kernels that share a bar. */
export type Group =
  | 'matmul'
  | 'attention'
  | 'softmax'
  | 'layer norm'
  | 'image block'
  | 'text block, padded'
  | 'text block, packed';

/** One measured thing. */
export interface KernelRow extends Work {
  readonly group: Group;
  readonly shape: string;
  readonly direction: 'forward' | 'backward' | 'forward and backward';
  readonly milliseconds: number;
  /** Largest difference from float64 on the CPU, as a share of the largest magnitude. */
  readonly error: number;
  /** By library; none for a gradient alone, which no peer can be asked for. */
  readonly peers: Readonly<Record<string, PeerFigure>>;
}

/** The section `kernels` of the results. */
export interface KernelResults {
  readonly ceiling: Ceiling;
  /** The wall's time of a long kernel by that of its timestamps; null without timestamps, left out by earlier runs. */
  readonly clockRatio?: number | null;
  /** Empty: not asked for. */
  readonly peers: readonly { readonly name: string; readonly version: string }[];
  readonly rows: readonly KernelRow[];
  /** Tasks for which there was no time; left out where there are none. */
  readonly unmeasured?: number;
}

/** Larger differences (as {@link KernelRow.error}) mean that a result is wrong. */
export const tolerance = 1e-3;

/** Seconds to minutes alone; some ten minutes with the peers on a software adapter. */
export async function measureKernels(options: BenchOptions): Promise<KernelResults> {
  const { quick, progress, until = Infinity } = options;
  let peers: Peer[] = [];
  if (options.peers) {
    await installPeers(progress);
    peers = await openPeers();
  }
  const gpu = await openGpu();
  try {
    const probe = ceilingProbe(gpu);
    for (let round = 0; round < 5; round++) await probe.round();
    progress(`ceiling    ${ceilingText(probe.best())}`);
    const tasks = kernelTasks(quick);
    const rows: KernelRow[] = [];
    const schedule = new Schedule(tasks.map(costOf));
    let unmeasured = 0;
    for (const task of tasks) {
      if (performance.now() > until) {
        unmeasured++;
        continue;
      }
      const step = schedule.step();
      await probe.round();
      // An even number: peers are timed in two ways (bench/peers/serve.mjs).
      for (const row of await measureTask(gpu, task, peers, quick ? 2 : 4)) {
        rows.push(row);
        progress(`${step} ${rowText(row)}`);
      }
    }
    const ceiling = probe.best();
    probe.release();
    return {
      ceiling,
      clockRatio: await clockRatio(gpu),
      ...(unmeasured > 0 && { unmeasured }),
      peers: peers.map(({ name, version }) => ({ name, version })),
      rows: rows.map((row) => withoutImpossible(row, ceiling)),
    };
  } finally {
    for (const peer of peers) peer.close();
    gpu.close();
  }
}

/** Seconds for what every task takes, and one for so many operations or bytes at the speed of the slowest. */
function costOf(task: Task): number {
  const { amount, unit } = workOf(task);
  return 4 + amount / (unit === 'GB/s' ? 0.1 : 1.5);
}

/** Refuses a peer's time that the adapter cannot reach, with room for noise and caches: then it was not waited for. */
export function withoutImpossible(row: KernelRow, { gflops, copyGBs }: Ceiling): KernelRow {
  const least = row.amount / (row.unit === 'GB/s' ? copyGBs : gflops) / 5;
  const peers = Object.entries(row.peers).map(([name, figure]): [string, PeerFigure] =>
    'failed' in figure || figure.milliseconds / 1000 >= least
      ? [name, figure]
      : [name, { failed: `${figure.milliseconds.toPrecision(2)} ms is less than this adapter can take` }],
  );
  return { ...row, peers: Object.fromEntries(peers) };
}

const ceilingText = ({ gflops, copyGBs }: Ceiling) =>
  `${gflops.toFixed(0)} GFLOP/s of multiply-adds, ${copyGBs.toFixed(1)} GB/s of copying`;

function rowText({ group, shape, direction, milliseconds, peers }: KernelRow): string {
  const others = Object.entries(peers).map(([name, figure]) =>
    'failed' in figure
      ? `${name} failed (${figure.failed})`
      : `${name} ${figure.milliseconds.toFixed(1)}${figure.error > tolerance ? ' (wrong)' : ''}`,
  );
  return [`${group} ${shape} ${direction}: ${milliseconds.toFixed(1)} ms`, ...others].join(', ');
}

/** Something that takes its turn at a task. */
interface Contestant {
  readonly name: string;
  time(): Promise<number>;
  read(): Promise<Float32Array[]>;
  readonly samples: readonly Sample[];
  milliseconds: number;
  error: number;
  failed?: string;
}

async function measureTask(
  gpu: Gpu,
  task: Task,
  peers: readonly Peer[],
  rounds: number,
): Promise<KernelRow[]> {
  const inputs = taskInputs(task);
  const prepared: Prepared[] = [];
  const contestants: Contestant[] = [];
  const add = (name: string, samples: readonly Sample[], turn: Pick<Contestant, 'time' | 'read'>) => {
    const contestant: Contestant = { name, samples, ...turn, milliseconds: Infinity, error: 0 };
    contestants.push(contestant);
    return contestant;
  };
  const ours = (name: string, way: Way, samples: readonly Sample[]) =>
    add(name, samples, {
      // Peers are asked for one run at a time: beside them, so is this.
      time: peers.length > 0 ? () => milliseconds(gpu, way.run) : launchClock(gpu, way.run),
      read: way.read,
    });
  try {
    // Before anything is computed from the inputs, which it makes agree with the packed form.
    const packed = task.kind === 'block' && task.gradient ? await packedForm(task, inputs) : undefined;
    const samples = expectedOf(task, inputs);
    const whole = prepareOurs(gpu, task, inputs);
    prepared.push(whole);
    ours('whole', whole.whole, samples);
    if (whole.backward) ours('backward', whole.backward, samples);
    if (packed) {
      const way = prepareBlock(gpu, packed.task, inputs, packed.rows, packed.tree);
      prepared.push(way);
      ours('packed', way.whole, packed.samples(samples));
    }
    for (const peer of peers) {
      const contestant = add(peer.name, samples, { time: () => peer.time(), read: () => peer.read() });
      try {
        await peer.prepare(task, inputs);
      } catch (error) {
        contestant.failed = (error as Error).message;
      }
    }
    await tuneFirst(
      gpu,
      prepared.flatMap(({ whole, backward }) => [whole.run, ...(backward ? [backward.run] : [])]),
    );
    for (const contestant of contestants) await check(contestant);
    await takeTurns(contestants, rounds);
  } finally {
    for (const { release } of prepared) release();
  }
  // A wrong peer is reported, and timed all the same: it is what its users get. Ours must be right.
  const own = contestants.filter(({ name }) => !peers.some((peer) => peer.name === name));
  for (const { name, failed, error } of own)
    if (failed || error > tolerance)
      throw new Error(
        `${JSON.stringify(task)}, ${name}: ${failed ?? `off by ${error} of the largest value`}`,
      );
  return rowsOf(task, contestants, peers);
}

/** The first run, which compiles, and what it gave. */
async function check(contestant: Contestant): Promise<void> {
  if (contestant.failed) return;
  try {
    await contestant.time();
    contestant.error = sampleError(await contestant.read(), contestant.samples);
    if (!Number.isFinite(contestant.error)) contestant.failed = 'its result contains NaN';
  } catch (error) {
    contestant.failed = (error as Error).message;
  }
}

/** The least time of `rounds` rounds, or of up to 16 times as many while all together take less than 4 seconds: shared machines have slow moments. */
async function takeTurns(contestants: readonly Contestant[], rounds: number): Promise<void> {
  const began = performance.now();
  const enough = (round: number) =>
    round >= rounds && (round >= 16 * rounds || performance.now() - began > 4000);
  for (let round = 0; !enough(round); round++)
    for (const contestant of contestants) {
      if (contestant.failed) continue;
      try {
        contestant.milliseconds = Math.min(contestant.milliseconds, await contestant.time());
      } catch (error) {
        contestant.failed = (error as Error).message;
      }
    }
}

/** The text block on the prefix tree: its inputs, and what of the padded outputs must come out of it. */
async function packedForm(task: Task & { kind: 'block' }, inputs: Inputs) {
  const { tree, rowOf } = await packedPrompts();
  const { tokens, width } = task;
  const rows = sharePrompts(inputs, task, rowOf);
  const count = tree.slots.length;
  const samples = ([y, dx]: readonly Sample[]): Sample[] => {
    const at = Uint32Array.from({ length: count * width }, (_, i) => i);
    const values = [new Float64Array(at.length), new Float64Array(at.length)];
    for (const [prompt, path] of rowOf.entries())
      for (const [depth, row] of path.entries()) {
        const from = (prompt * tokens + depth) * width;
        for (let i = 0; i < width; i++) {
          values[0]![row * width + i] = y!.values[from + i]!;
          values[1]![row * width + i]! += dx!.values[from + i]!;
        }
      }
    return values.map((own) => ({ at, values: own }));
  };
  return { task, tree, rows, samples };
}

function rowsOf(task: Task, contestants: readonly Contestant[], peers: readonly Peer[]): KernelRow[] {
  const get = (name: string) => contestants.find((one) => one.name === name);
  const figures = Object.fromEntries(
    peers.map(({ name }): [string, PeerFigure] => {
      const { failed, milliseconds, error } = get(name)!;
      return [name, failed === undefined ? { milliseconds, error } : { failed }];
    }),
  );
  const direction = 'gradient' in task && task.gradient ? 'forward and backward' : 'forward';
  const row = (name: string, rest: Pick<KernelRow, 'group' | 'direction' | 'peers'> & Work): KernelRow => {
    const { milliseconds, error } = get(name)!;
    return { shape: shapeText(task), milliseconds, error, ...rest };
  };
  const group = groupOf(task);
  const rows = [row('whole', { group, direction, peers: figures, ...workOf(task) })];
  if (get('backward'))
    rows.push(row('backward', { group, direction: 'backward', peers: {}, ...workOf(task, 'backward') }));
  const packed = get('packed');
  if (packed && task.kind === 'block') {
    const count = packed.samples[0]!.at.length / task.width;
    const work = workOf(task, 'whole', count);
    rows.push({
      ...row('packed', { group: 'text block, packed', direction, peers: figures, ...work }),
      shape: `${count}×${task.width}`,
    });
  }
  return rows;
}

function groupOf(task: Task): Group {
  if (task.kind === 'block') return task.causal ? 'text block, padded' : 'image block';
  return task.kind === 'layerNorm' ? 'layer norm' : task.kind;
}

function shapeText(task: Task): string {
  switch (task.kind) {
    case 'matmul':
      return `${task.m}×${task.k}×${task.n}`;
    case 'softmax':
    case 'layerNorm':
      return `${task.rows}×${task.width}`;
    case 'attention':
      return `${task.batch}×${task.heads}×${task.tokens}×${task.headDim}${task.causal ? ', causal' : ''}`;
    case 'block':
      return `${task.batch}×${task.tokens}×${task.width}`;
  }
}
