import { availableParallelism } from 'node:os';
import { median } from '../src/common/median.ts';
import { ceilingLaunches } from '../src/kernels/ceiling.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';

export interface Ceiling {
  /** Multiply-adds at two operations each, 10⁹ a second. */
  readonly gflops: number;
  /** Bytes read plus bytes written, 10⁹ a second. */
  readonly copyGBs: number;
}

/**
 * How to time: by the wall, or, on a software adapter that shares its cores with other programs, by the processor time
 * this process spent, divided by the number of cores that it would have had to itself.
 */
export type Clock = 'wall' | 'cpu';

/** Milliseconds from submission to completion. */
export async function milliseconds(
  gpu: Gpu,
  encode: () => void,
  clock: Clock = 'wall',
  now = () => performance.now(),
): Promise<number> {
  await gpu.finish();
  const spent = process.cpuUsage();
  const start = now();
  encode();
  await gpu.finish();
  if (clock === 'wall') return now() - start;
  const { user, system } = process.cpuUsage(spent);
  return (user + system) / 1000 / availableParallelism();
}

/** A submission and its wake-up take a GPU some 0.1 ms: so many milliseconds of launches, one after the other, are timed at once. */
const leastMilliseconds = 5;
const mostLaunches = 2048;

/** A clock for one thing that is launched: each call gives the milliseconds of a launch, of as many as make a time worth measuring. */
export function launchClock(
  gpu: Gpu,
  encode: () => void,
  clock: Clock = 'wall',
  now?: () => number,
): () => Promise<number> {
  let count = 1;
  const launch = () => {
    for (let i = 0; i < count; i++) encode();
  };
  const batch = async () => {
    const took = await milliseconds(gpu, launch, clock, now);
    return { took, each: took / count };
  };
  return async () => {
    for (;;) {
      const { took, each } = await batch();
      if (took >= leastMilliseconds / 2 || count === mostLaunches) return each;
      // Not counted: it was too short to tell, and the first one after a pause is slow.
      count = Math.min(mostLaunches, Math.ceil((count * leastMilliseconds) / Math.max(took, 0.05)));
    }
  };
}

/** A ceiling's runs, to be mixed with what is held against it: shared machines change from second to second. */
export function ceilingProbe(
  gpu: Gpu,
  clock: Clock = 'wall',
): { round(): Promise<void>; best(): Ceiling; release(): void } {
  const { operations, bytes, multiply, move, release } = ceilingLaunches(gpu);
  const [timeFma, timeCopy] = [launchClock(gpu, multiply, clock), launchClock(gpu, move, clock)];
  let fma = Number.POSITIVE_INFINITY;
  let copy = Number.POSITIVE_INFINITY;
  return {
    async round() {
      fma = Math.min(fma, await timeFma());
      copy = Math.min(copy, await timeCopy());
    },
    best: () => ({ gflops: operations / fma / 1e6, copyGBs: bytes / copy / 1e6 }),
    release,
  };
}

/**
 * The wall's time of a long kernel, from submission to completion, by that of its timestamps, the same launches: median of several.
 * Null without timestamp queries.
 */
export async function clockRatio(gpu: Gpu, rounds = 5): Promise<number | null> {
  if (!gpu.has('timestamp-query')) return null;
  const { multiply, release } = ceilingLaunches(gpu);
  try {
    // A tenth of a second, beside which what submission and waiting take is little.
    const once = await launchClock(gpu, multiply)();
    const launches = Math.max(2, Math.min(mostLaunches / 2, Math.ceil(100 / once)));
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      let wall = 0;
      const timeline = await gpu.timeline(async () => {
        wall = await milliseconds(gpu, () => {
          for (let i = 0; i < launches; i++) multiply();
        });
      });
      const stamped = timeline.reduce((sum, { begin, end }) => sum + (end - begin), 0) / 1e6;
      ratios.push(wall / stamped);
    }
    return median(ratios);
  } finally {
    release();
  }
}
