import { median } from '../common/median.ts';
import { type CeilingLaunches, ceilingLaunches } from '../kernels/ceiling.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Recording } from '../kernels/device/recording.ts';

/** A dispatch's time over several replays, nanoseconds. */
export interface Measured {
  readonly ns: number;
  readonly least: number;
  readonly most: number;
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
    const times: number[][] = Array.from({ length: recording.dispatches }, () => []);
    const spans: number[] = [];
    let resolution = Number.POSITIVE_INFINITY;
    await repeat(rounds, advance, async () => {
      const timeline = await gpu.timeline(() => recording.replay());
      if (timeline.length !== times.length)
        throw new Error(`${timeline.length} times of ${times.length} dispatches`);
      for (const [i, { begin, end }] of timeline.entries()) {
        times[i]!.push(end - begin);
        if (end > begin) resolution = Math.min(resolution, end - begin);
      }
      spans.push((timeline.at(-1)?.end ?? 0) - (timeline[0]?.begin ?? 0));
    });
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
      dispatches: times.map((list) => ({
        ns: median(list),
        least: Math.min(...list),
        most: Math.max(...list),
      })),
      wall: median(walls),
      wallLeast: Math.min(...walls),
      host: median(hosts),
      profiled: median(spans),
      resolution,
      ceilings: { gflops, copyGBs },
    };
  } finally {
    ceilings.release();
    gpu.trim();
  }
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
