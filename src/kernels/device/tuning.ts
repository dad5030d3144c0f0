import { environmentVariable } from '../../common/environment.ts';
import { fnv1aHex } from '../../common/fnv1a.ts';
import type { Gpu } from './gpu.ts';
import { runTrial, type Trial } from './trial.ts';
import { type Measurement, parseTable, type Table, tableText } from './tuning-table.ts';
import { resolveIncludes } from './wgsl.ts';

export type { Trial } from './trial.ts';
export type { Measurement } from './tuning-table.ts';

/**
 * Which variant of a kernel runs for a shape: the fastest one measured on this adapter, else the launcher's rule of thumb.
 * The choice at launch is synchronous; shapes met without a measurement wait until {@link tune} times them.
 */

/** A kernel with several variants. `version` changes with its shaders and discards what was measured before. */
export interface Family {
  readonly name: string;
  readonly version: string;
}

interface Pending {
  readonly variants: readonly string[];
  readonly byRule: string;
  readonly trial: Trial;
}

/** What waits on a device. */
const pendings = new WeakMap<Gpu, Map<string, Pending>>();

/** What is known, by lineage: a device opened in place of a lost one must choose as that did, or give other bits. */
const tables = new WeakMap<object, Table>();

/** A shape's count of rows for a table's keys: what is measured of one holds for all of its class. */
export const classOf = (count: number): number =>
  Math.min(4096, 2 ** Math.ceil(Math.log2(Math.max(8, count))));

/** Names a family's version after the text of its shaders, with what they include (FNV-1a, 32 bits). */
export function sourceVersion(...sources: readonly string[]): string {
  return fnv1aHex(sources.map(resolveIncludes).join(''));
}

/**
 * The variant to launch: the measured one if it is among those that apply, else `byRule`. A shape with several variants
 * and no measurement is noted for {@link tune}; `trial` is only called then.
 */
export function choose(
  gpu: Gpu,
  family: Family,
  shape: string,
  variants: readonly string[],
  byRule: string,
  trial: () => Trial,
): string {
  if (variants.length < 2) return byRule;
  const key = `${family.name}/${family.version}/${shape}`;
  const known = tableOf(gpu).measured.get(key);
  if (known && variants.includes(known.variant)) return known.variant;
  const pending = pendingOf(gpu);
  if (!pending.has(key)) pending.set(key, { variants, byRule, trial: trial() });
  return byRule;
}

/** Every measurement in force, by `family/version/shape`. */
export function tuned(gpu: Gpu): ReadonlyMap<string, Measurement> {
  return tableOf(gpu).measured;
}

/** Devices, by lineage, whose variants were given: nothing is measured on them. */
const fixed = new WeakSet<object>();

/** Lets these variants be in force for a device, by `family/version/shape`, and no measurement of this machine's own, then or later. */
export function fixVariants(gpu: Gpu, variants: Readonly<Record<string, string>>): void {
  const { measured } = tableOf(gpu);
  fixed.add(gpu.lineage);
  measured.clear();
  for (const [key, variant] of Object.entries(variants)) measured.set(key, { variant, times: {} });
}

/** Number of shapes met that await measurement. */
export function pendingShapes(gpu: Gpu): number {
  return pendingOf(gpu).size;
}

export interface TuneOptions {
  /** Timed runs of each variant. Default 5. */
  readonly rounds?: number;
  readonly onShape?: (shape: string, measurement: Measurement) => void;
  /** When to begin no other shape, by performance.now(): the rest stays pending. By default never. */
  readonly until?: number;
  /** Called with a line for each variant that failed: by default a line of warning. */
  readonly onLeftOut?: (line: string) => void;
}

/**
 * Measures the variants of every pending shape, takes the fastest right ones and stores them for this adapter. A variant that the
 * driver refuses, that fails or gives another result is left out and named. One that takes the device with it is remembered: this call
 * throws the loss, and the next one on the device that is opened instead, or in another process, leaves it out.
 */
export async function tune(gpu: Gpu, options: TuneOptions = {}): Promise<void> {
  const pending = pendingOf(gpu);
  if (pending.size === 0) return;
  const { rounds = 5, until = Infinity, onShape, onLeftOut = (line) => console.warn(line) } = options;
  const table = tableOf(gpu);
  const name = (key: string, variant: string, why: string) =>
    onLeftOut(`tuning     ${key.replace(/\/[0-9a-f]{8}\//, ' ')}: variant ${variant} is left out: ${why}`);
  try {
    for (const [key, { variants, byRule, trial }] of pending) {
      if (performance.now() > until) break;
      const usable = variants.filter((variant) => !table.fatal.has(`${key} ${variant}`));
      const lost = variants.filter((variant) => !usable.includes(variant));
      let trying: string | undefined;
      const attempt = () => runTrial(gpu, usable, trial, { rounds, trying: (variant) => (trying = variant) });
      const { times, leftOut } = await attempt().catch((error: unknown) => {
        if (gpu.ended && trying !== undefined) table.fatal.add(`${key} ${trying}`);
        if (gpu.ended) throw error;
        // Not a variant's doing: the inputs alone are too large, say. The rule decides then.
        return { times: {}, leftOut: { [trial.reference]: (error as Error).message.split('\n')[0]! } };
      });
      const why = {
        ...leftOut,
        ...Object.fromEntries(lost.map((variant) => [variant, 'lost the device before'])),
      };
      for (const [variant, reason] of Object.entries(why)) name(key, variant, reason);
      const measurement: Measurement = {
        variant: Object.keys(times).length > 0 ? fastest(times, usable, trial.reference) : byRule,
        times,
        rule: byRule,
        ...(Object.keys(why).length > 0 && { leftOut: why }),
      };
      table.measured.set(key, measurement);
      pending.delete(key);
      onShape?.(key, measurement);
    }
  } finally {
    // Scratch of shapes that may never come again.
    if (!gpu.ended) gpu.trim();
    await saveTable(gpu, table);
  }
}

/** The reference where nothing else is right, or where it is the fastest. */
function fastest(
  times: Readonly<Record<string, number>>,
  variants: readonly string[],
  reference: string,
): string {
  const timed = variants.filter((variant) => times[variant] !== undefined);
  return timed.reduce(
    (best, variant) => (times[variant]! < (times[best] ?? Infinity) ? variant : best),
    reference,
  );
}

/** When a run times the kernel variants: `auto` on a GPU, not on a software adapter. */
export const tuneChoices = ['auto', 'always', 'never'] as const;
export type TuneChoice = (typeof tuneChoices)[number];

/** The environment variable that has other commands than training time the variants, or not. */
export const tuneVariable = 'CLIP_AGIQA_TUNE';

/** The choice of the environment, else `auto`. */
export function defaultTuneChoice(): TuneChoice {
  const given = environmentVariable(tuneVariable);
  return tuneChoices.find((choice) => choice === given) ?? 'auto';
}

/** Whether the choice has the variants timed on this adapter, and none were given for it. */
export const tunes = (gpu: Gpu, choice: TuneChoice): boolean =>
  !fixed.has(gpu.lineage) && (choice === 'always' || (choice === 'auto' && !gpu.adapter.software));

/** As {@link tune}, where the choice says so for this adapter. */
export async function tuneAs(gpu: Gpu, choice: TuneChoice): Promise<void> {
  if (tunes(gpu, choice)) await tune(gpu);
}

/** The table as text, for {@link importTuning} on another machine with this adapter and driver. */
export function exportTuning(gpu: Gpu): string {
  return tableText(gpu.adapter, tableOf(gpu));
}

/** Takes a table in place of what was measured here; false where it is damaged or another adapter's. */
export function importTuning(gpu: Gpu, text: string): boolean {
  const table = parseTable(gpu.adapter, text);
  if (!table) return false;
  // The same map: who holds it sees the change.
  const own = tableOf(gpu);
  own.measured.clear();
  for (const [key, measurement] of table.measured) own.measured.set(key, measurement);
  for (const variant of table.fatal) own.fatal.add(variant);
  pendingOf(gpu).clear();
  return true;
}

/** Forgets every measurement for this adapter, in memory and on disk; what is launched from now on is pending again. */
export async function clearTuning(gpu: Gpu): Promise<void> {
  const table = tableOf(gpu);
  table.measured.clear();
  table.fatal.clear();
  pendingOf(gpu).clear();
  await saveTable(gpu, table);
}

function tableOf(gpu: Gpu): Table {
  let table = tables.get(gpu.lineage);
  if (!table) tables.set(gpu.lineage, (table = readTable(gpu)));
  return table;
}

/** What earlier runs measured on the adapter. Missing or damaged it is empty, so the next tuning writes it again. */
function readTable({ store, adapter }: Gpu): Table {
  const text = store?.read('tuning', adapter);
  return (text && parseTable(adapter, text)) || { measured: new Map(), fatal: new Set() };
}

async function saveTable({ store, adapter }: Gpu, table: Table): Promise<void> {
  await store?.write('tuning', adapter, tableText(adapter, table));
}

/** What is pending runs on the device that met it. */
function pendingOf(gpu: Gpu): Map<string, Pending> {
  let pending = pendings.get(gpu);
  if (!pending) pendings.set(gpu, (pending = new Map()));
  return pending;
}
