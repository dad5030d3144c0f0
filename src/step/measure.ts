import { median } from '../common/median.ts';
import { type CeilingLaunches, ceilingLaunches } from '../kernels/ceiling.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { DispatchTime } from '../kernels/device/profiler.ts';
import type { Recording } from '../kernels/device/recording.ts';

/** A dispatch's time over several replays, nanoseconds; `repeats`: how often it ran in each, of which this is the mean. */
export interface Measured {
  readonly ns: number;
  readonly least: number;
  readonly most: number;
  readonly repeats: number;
}

export interface StepTimes {
  readonly rounds: number;
  readonly dispatches: readonly Measured[];
  readonly wall: number;
  readonly wallLeast: number;
  readonly host: number;
  readonly profiled: number;
  readonly resolution: number;
  readonly ceilings: { readonly gflops: number; readonly copyGBs: number };
}

/** Milliseconds that the replays of a kind may take together; {@link few} are made in any case. */
const budgetMs = 4000;
const few = 3;

/**
 * Times a captured step by replaying it: each dispatch by timestamps, then the whole by the wall, and the machine's ceilings before,
 * between and after, so that what else the machine does in that time shows in both.
 */
export async function measureStep(
  gpu: Gpu,
  recording: Recording,
  rounds: number,
  advance: () => void,
): Promise<StepTimes> {
  const ceilings = ceilingLaunches(gpu, gpu.adapter.software ? 0.4 : 1);
  let [gflops, copyGBs] = [0, 0];
  const roofs = async () => {
    for (let i = 0; i < 3; i++) {
      const best = await ceilingRound(gpu, ceilings);
      gflops = Math.max(gflops, best.gflops);
      copyGBs = Math.max(copyGBs, best.copyGBs);
    }
  };
  try {
    await roofs();
    const { timeline: once, resolution } = await plainly(gpu, recording);
    const repeats = await repeatsOf(gpu, recording, once, resolution);
    const times: number[][] = repeats.map(() => []);
    const spans: number[] = [];
    await repeat(rounds, advance, async () => {
      const timeline = await replayed(gpu, recording, repeats);
      for (const [i, { begin, end }] of timeline.entries()) times[i]!.push((end - begin) / repeats[i]!);
      spans.push(spanOf(timeline));
    });
    // Between repeated dispatches there is nothing of a step.
    const repeated = repeats.some((many) => many > 1);
    const profiled = repeated ? spanOf(once) : median(spans);
    await roofs();
    const walls: number[] = [];
    const hosts: number[] = [];
    await repeat(rounds, advance, async () => {
      await gpu.finish();
      const start = performance.now();
      recording.replay();
      gpu.flush();
      hosts.push(1e6 * (performance.now() - start));
      await gpu.finish();
      walls.push(1e6 * (performance.now() - start));
    });
    await roofs();
    return {
      rounds: spans.length,
      dispatches: times.map((list, i) => ({
        ns: median(list),
        least: Math.min(...list),
        most: Math.max(...list),
        repeats: repeats[i]!,
      })),
      wall: median(walls),
      wallLeast: Math.min(...walls),
      host: median(hosts),
      profiled,
      resolution,
      ceilings: { gflops, copyGBs },
    };
  } finally {
    ceilings.release();
    gpu.trim();
  }
}

const spanOf = (timeline: readonly DispatchTime[]) => (timeline.at(-1)?.end ?? 0) - (timeline[0]?.begin ?? 0);

/** A replay in which each dispatch runs so often between its timestamps. */
const replayed = (gpu: Gpu, recording: Recording, repeats: readonly number[]) =>
  gpu.timeline(
    () => recording.replay(),
    (i) => repeats[i]!,
  );

/** A step with each dispatch timed as it runs, and the smallest difference of two timestamps: the grain of the clock. */
async function plainly(gpu: Gpu, recording: Recording) {
  const timeline = await gpu.timeline(() => recording.replay());
  if (timeline.length !== recording.dispatches)
    throw new Error(`${timeline.length} times of ${recording.dispatches} dispatches`);
  const stamps = timeline.flatMap(({ begin, end }) => [begin, end]).sort((a, b) => a - b);
  const steps = stamps.map((stamp, i) => stamp - (stamps[i - 1] ?? stamp)).filter((step) => step > 0);
  return { timeline, resolution: Math.min(...steps) };
}

/** Nanoseconds: a coarser clock is one that a browser rounds, to 0.1 ms, so that pages cannot listen to others by it. */
const coarse = 10_000;
/** Grains that a dispatch is to take with its repetitions, so that rounding moves its time by 3%. */
const enough = 32;
const mostRepeats = 4096;

/**
 * How often each dispatch is to run between its timestamps: once, but for a coarse clock, until it takes {@link enough} grains of it.
 * Parameters then run away, which changes no dispatch's work.
 */
async function repeatsOf(
  gpu: Gpu,
  recording: Recording,
  once: readonly DispatchTime[],
  resolution: number,
): Promise<number[]> {
  const repeats = once.map(() => 1);
  if (!(resolution >= coarse)) return repeats;
  let timeline = once;
  for (let attempt = 0; attempt < 5; attempt++) {
    let short = false;
    for (const [i, { begin, end }] of timeline.entries()) {
      const wanted = enough * resolution;
      if (end - begin >= wanted || repeats[i] === mostRepeats) continue;
      short = true;
      // What is shorter than the grain is taken to be half of it, so that no guess is far too long.
      const factor = (1.1 * wanted) / Math.max(end - begin, resolution / 2);
      repeats[i] = Math.min(mostRepeats, Math.ceil(repeats[i]! * factor));
    }
    if (!short) break;
    timeline = await replayed(gpu, recording, repeats);
  }
  return repeats;
}

async function ceilingRound(gpu: Gpu, { operations, bytes, multiply, move }: CeilingLaunches) {
  const [fma, copy] = await gpu.timeline(() => {
    multiply();
    move();
  });
  const rate = (amount: number, { begin, end }: { begin: number; end: number }) => amount / (end - begin);
  return { gflops: rate(operations, fma!), copyGBs: rate(bytes, copy!) };
}

async function repeat(many: number, advance: () => void, body: () => Promise<void>): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < many && (i < few || performance.now() - start < budgetMs); i++) {
    await body();
    advance();
  }
}
