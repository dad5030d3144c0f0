import type { Gpu } from '../src/kernels/device/gpu.ts';
import { milliseconds } from './ceiling.ts';

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
  if (!compiled) for (const [, run] of entries) await milliseconds(gpu, run);
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of entries) least[name] = Math.min(least[name], await milliseconds(gpu, run));
  return least;
}
