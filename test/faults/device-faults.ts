import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../src/common/errors.ts';
import { uniform } from '../../src/common/random.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { type DeviceOperation, guardDevice } from '../../src/kernels/device/guard.ts';
import { artifactsOf, differences } from './artifacts.ts';
import type { Kind } from './kinds.ts';

/** A kind's run on a device that does what it is asked, in a folder of its own. */
export interface UndisturbedDevice {
  readonly kind: Kind;
  readonly folder: string;
  readonly artifacts: ReadonlyMap<string, string>;
  /** How often the run submits work to the device, and how many buffers and textures it makes on one that holds none. */
  readonly submissions: number;
  readonly allocations: number;
}

export async function runOnDevice(gpu: Gpu, kind: Kind, folder: string): Promise<UndisturbedDevice> {
  mkdirSync(folder);
  // Once before, since a cache is filled by the first.
  await begin(gpu, kind, folder);
  const counts = { submit: 0, allocate: 0 };
  await guarded(
    ({ kind: what }) => void counts[what]++,
    () => begin(gpu, kind, folder),
  );
  return {
    kind,
    folder,
    artifacts: artifactsOf(folder),
    submissions: counts.submit,
    allocations: counts.allocate,
  };
}

/**
 * `count` different numbers from 1 to `all`, or every one where there are no more: the first and the last, and others spread
 * between; a single one from the middle.
 */
export function pickNumbers(all: number, count: number, seed = 1): number[] {
  if (count === 1) return [Math.ceil(all / 2)];
  const share = all / count;
  const spread = (i: number) => 1 + Math.floor(share * (i + uniform(seed, 0x6000, i)));
  const picked = Array.from({ length: Math.min(all, count) }, (_, i) => (share <= 1 ? i + 1 : spread(i)));
  return [...new Set([1, ...picked.slice(1, -1), all])];
}

/** Runs a kind from its beginning with the device lost before these submissions, counted over all devices; says what is different. */
export async function loseDevice(
  gpu: Gpu,
  { kind, folder, artifacts }: UndisturbedDevice,
  at: readonly number[],
): Promise<string[]> {
  let submissions = 0;
  const lose = ({ kind: what, device }: DeviceOperation) => {
    if (what === 'submit' && at.includes(++submissions)) device.destroy();
  };
  const error = await guarded(lose, () => failureOf(begin(gpu, kind, folder)));
  return error ? [String(error)] : differences(artifactsOf(folder), artifacts);
}

/**
 * Runs a kind from its beginning with no room for the `nth` buffer, not even when what was in store has been given back, and then
 * goes on; says what is wrong: an error that is none for the user, memory that is still held, another outcome.
 */
export async function refuseMemory(
  gpu: Gpu,
  { kind, folder, artifacts }: UndisturbedDevice,
  nth: number,
): Promise<string[]> {
  const held = gpu.latest.pool.statistics.liveBytes;
  let allocations = 0;
  const refuse = ({ kind: what }: DeviceOperation) => {
    if (what !== 'allocate') return undefined;
    const at = ++allocations;
    return at === nth || at === nth + 1 ? 'out of memory' : undefined;
  };
  const error = await guarded(refuse, () => failureOf(begin(gpu, kind, folder)));
  const wrong: string[] = [];
  // Batches in flight take the buffers of others that have ended, or new ones: a run may get by with fewer than the one counted.
  const refused = allocations >= nth;
  if (!error) wrong.push(...(refused ? [`the run did not fail, and made ${allocations} buffers`] : []));
  else if (!(error instanceof UserError) || !/^[^\n]*no room for [^\n]*$/.test(error.message))
    wrong.push(error instanceof Error ? String(error.stack) : String(error));
  const leaked = gpu.latest.pool.statistics.liveBytes - held;
  if (leaked !== 0) wrong.push(`${leaked} bytes were not given back`);
  const later = await failureOf(kind.run(gpu.latest, folder, true));
  wrong.push(...(later ? [String(later)] : differences(artifactsOf(folder), artifacts)));
  return wrong;
}

async function begin(gpu: Gpu, kind: Kind, folder: string): Promise<void> {
  for (const root of kind.roots) rmSync(join(folder, root), { recursive: true, force: true });
  // Every run asks for all that it needs.
  gpu.latest.trim();
  await kind.run(gpu.latest, folder, false);
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error) => error ?? new Error('thrown without a reason'),
  );

async function guarded<T>(
  watching: (operation: DeviceOperation) => unknown,
  work: () => Promise<T>,
): Promise<T> {
  const release = guardDevice((operation) =>
    watching(operation) === 'out of memory' ? 'out of memory' : undefined,
  );
  try {
    return await work();
  } finally {
    release();
  }
}
