import type { Gpu } from '../src/kernels/device/gpu.ts';
import { launchClock, milliseconds } from './ceiling.ts';
import { tuneFirst } from './tune-first.ts';

/**
 * Least milliseconds of each of several ways to do something. They take turns, so that what else the machine does falls on
 * all of them, and each runs once before, which compiles its kernels, unless that was done.
 */
export async function alternate<K extends string>(
  gpu: Gpu,
  ways: Readonly<Record<K, () => void>>,
  rounds: number,
  { compiled = false } = {},
): Promise<Record<K, number>> {
  const entries = Object.entries(ways) as [K, () => void][];
  const least = Object.fromEntries(entries.map(([name]) => [name, Infinity])) as Record<K, number>;
  if (!compiled) await tuneFirst(gpu, Object.values<() => void>(ways));
  if (!compiled) for (const [, run] of entries) await milliseconds(gpu, run);
  const clocks = entries.map(([name, run]) => [name, launchClock(gpu, run)] as const);
  for (let round = 0; round < rounds; round++)
    for (const [name, time] of clocks) least[name] = Math.min(least[name], await time());
  return least;
}
