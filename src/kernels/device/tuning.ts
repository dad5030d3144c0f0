import { UserError } from '../../common/errors.ts';
import { fnv1a32 } from '../../common/fnv1a.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { resolveIncludes } from './wgsl.ts';

/**
 * Which variant of a kernel runs for a shape: the fastest one measured on this adapter, else the launcher's rule of thumb.
 * The choice at launch is synchronous; shapes met without a measurement wait until {@link tune} times them.
 */

/** A kernel with several variants. `version` changes with its shaders and discards what was measured before. */
export interface Family {
  readonly name: string;
  readonly version: string;
}

/** How to try the variants for one shape on scratch buffers. */
export interface Trial {
  /** Sizes of the inputs in elements; they are filled with random numbers. */
  readonly inputs: readonly { readonly elements: number; readonly type: 'f32' | 'f16' }[];
  /** Size of the output in f32 elements. */
  readonly output: number;
  /** The plain variant, which the others are checked against. */
  readonly reference: string;
  /** Largest difference allowed, relative to the reference's largest magnitude. */
  readonly tolerance: number;
  run(variant: string, inputs: readonly GpuBuffer[], output: GpuBuffer): void;
}

export interface Measurement {
  readonly variant: string;
  /** Least milliseconds of each variant that gave the right result. */
  readonly times: Readonly<Record<string, number>>;
}

interface Pending {
  readonly variants: readonly string[];
  readonly trial: Trial;
}

/** What is known for one adapter; keys are `family/version/shape`. */
interface Table {
  readonly measured: Map<string, Measurement>;
  readonly pending: Map<string, Pending>;
}

interface TuningFile {
  readonly adapter: string;
  readonly measured: Readonly<Record<string, Measurement>>;
}

const tables = new WeakMap<Gpu, Table>();

/** Measurements by lineage: a device opened in place of a lost one must choose as that did, or give other bits. */
const measurements = new WeakMap<object, Table['measured']>();

/** Names a family's version after the text of its shaders, with what they include (FNV-1a, 32 bits). */
export function sourceVersion(...sources: readonly string[]): string {
  return fnv1a32(sources.map(resolveIncludes).join('')).toString(16).padStart(8, '0');
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
  const table = tableOf(gpu);
  const key = `${family.name}/${family.version}/${shape}`;
  const known = table.measured.get(key);
  if (known && variants.includes(known.variant)) return known.variant;
  if (!table.pending.has(key)) table.pending.set(key, { variants, trial: trial() });
  return byRule;
}

/** Every measurement in force, by `family/version/shape`. */
export function tuned(gpu: Gpu): ReadonlyMap<string, Measurement> {
  return tableOf(gpu).measured;
}

/** Lets these variants be in force for a device, by `family/version/shape`, and no measurement of this machine's own. */
export function fixVariants(gpu: Gpu, variants: Readonly<Record<string, string>>): void {
  const { measured } = tableOf(gpu);
  measured.clear();
  for (const [key, variant] of Object.entries(variants)) measured.set(key, { variant, times: {} });
}

/** Number of shapes met that await measurement. */
export function pendingShapes(gpu: Gpu): number {
  return tableOf(gpu).pending.size;
}

export interface TuneOptions {
  /** Timed runs of each variant. Default 5. */
  readonly rounds?: number;
  readonly onShape?: (shape: string, measurement: Measurement) => void;
}

/** Measures the variants of every pending shape, takes the fastest right ones and stores them for this adapter. */
export async function tune(gpu: Gpu, options: TuneOptions = {}): Promise<void> {
  const table = tableOf(gpu);
  if (table.pending.size === 0) return;
  for (const [key, { variants, trial }] of table.pending) {
    const measurement = await measure(gpu, variants, trial, options.rounds ?? 5);
    table.measured.set(key, measurement);
    table.pending.delete(key);
    options.onShape?.(key, measurement);
  }
  await saveTable(gpu, table);
}

/** When a run times the kernel variants: `auto` on a GPU, not on a software adapter. */
export const tuneChoices = ['auto', 'always', 'never'] as const;
export type TuneChoice = (typeof tuneChoices)[number];

/** As {@link tune}, where the choice says so for this adapter. */
export async function tuneAs(gpu: Gpu, choice: TuneChoice): Promise<void> {
  if (choice === 'always' || (choice === 'auto' && !gpu.adapter.software)) await tune(gpu);
}

/** Forgets every measurement for this adapter, in memory and on disk; what is launched from now on is pending again. */
export async function clearTuning(gpu: Gpu): Promise<void> {
  const table = tableOf(gpu);
  table.measured.clear();
  table.pending.clear();
  await saveTable(gpu, table);
}

async function measure(
  gpu: Gpu,
  variants: readonly string[],
  trial: Trial,
  rounds: number,
): Promise<Measurement> {
  const held: GpuBuffer[] = [];
  try {
    for (const [i, { elements, type }] of trial.inputs.entries()) {
      held.push(gpu.pool.allocate(type === 'f16' ? Math.ceil(elements / 2) * 4 : elements * 4));
      gpu.write(held[i]!, type === 'f16' ? randomHalves(elements, i) : randomFloats(elements, i));
    }
    const inputs = [...held];
    const output = gpu.pool.allocate(trial.output * 4);
    held.push(output);
    const result = async (variant: string) => {
      trial.run(variant, inputs, output);
      return new Float32Array(await gpu.read(output, trial.output * 4));
    };
    const expected = await result(trial.reference);
    let largest = 0;
    for (const value of expected) largest = Math.max(largest, Math.abs(value));
    const times: Record<string, number> = {};
    for (const variant of variants) {
      // Poisoned, so that a variant that writes nothing is not taken for right.
      gpu.write(output, new Float32Array(trial.output).fill(Number.NaN));
      const got = await result(variant);
      const limit = trial.tolerance * largest;
      if (got.every((value, i) => Math.abs(value - expected[i]!) <= limit))
        times[variant] = Number.POSITIVE_INFINITY;
    }
    const right = Object.keys(times);
    for (let round = 0; round < rounds; round++)
      for (const variant of right) {
        // A variant far behind after the first round is not worth its time.
        if (round > 0 && times[variant]! > 3 * Math.min(...Object.values(times))) continue;
        await gpu.finish();
        const start = performance.now();
        trial.run(variant, inputs, output);
        await gpu.finish();
        const took = performance.now() - start;
        times[variant] = Math.min(times[variant]!, took);
      }
    // The reference may be none of the variants, and then has no time.
    const timeOf = (name: string) => times[name] ?? Number.POSITIVE_INFINITY;
    const variant = right.reduce(
      (best, name) => (timeOf(name) < timeOf(best) ? name : best),
      trial.reference,
    );
    return { variant, times };
  } finally {
    for (const buffer of held) gpu.pool.release(buffer);
  }
}

function* randomWords(seed: number): Generator<number> {
  let state = 0x9e3779b9 ^ (seed * 0x85ebca6b);
  for (;;) yield (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

/** Uniform in ±1/2. */
function randomFloats(count: number, seed: number): Float32Array {
  const words = randomWords(seed);
  return Float32Array.from({ length: count }, () => (words.next().value as number) / 2 ** 32 - 0.5);
}

/** Halves in ±[1/4, 1/2): random signs and mantissas under one exponent. */
function randomHalves(count: number, seed: number): Uint16Array {
  const words = randomWords(seed);
  return Uint16Array.from({ length: Math.ceil(count / 2) * 2 }, () => {
    const word = (words.next().value as number) >>> 16;
    return (word & 0x8000) | (13 << 10) | (word & 0x3ff);
  });
}

/** What the measurements hold for: the adapter, its driver, and the features that decide which variants exist. */
function adapterKey({ adapter }: Gpu): string {
  return [
    adapter.vendor,
    adapter.architecture,
    adapter.name,
    adapter.driver,
    ...[...adapter.features].sort(),
    ...(adapter.profile ? [adapter.profile] : []),
  ].join('|');
}

function tableOf(gpu: Gpu): Table {
  let table = tables.get(gpu);
  if (!table) {
    let measured = measurements.get(gpu.lineage);
    if (!measured) measurements.set(gpu.lineage, (measured = readMeasurements(gpu)));
    // What is pending runs on the device that met it.
    table = { measured, pending: new Map() };
    tables.set(gpu, table);
  }
  return table;
}

/** The file of this adapter; undefined in a browser, where measurements last as long as the page. */
function tuningPath(gpu: Gpu): string | undefined {
  const path = builtin('node:path');
  const os = builtin('node:os');
  if (!path || !os) return undefined;
  const slug = gpu.adapter.name.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return path.join(cache, 'clip-agiqa-webgpu', 'tuning', `${slug}-${sourceVersion(adapterKey(gpu))}.json`);
}

function readMeasurements(gpu: Gpu): Map<string, Measurement> {
  const path = tuningPath(gpu);
  if (!path) return new Map();
  try {
    const file = JSON.parse(builtin('node:fs')!.readFileSync(path, 'utf8')) as TuningFile;
    if (file.adapter !== adapterKey(gpu)) return new Map();
    return new Map(Object.entries(file.measured).filter(([, { variant }]) => typeof variant === 'string'));
  } catch {
    // Missing or damaged: it is a cache, so the next tuning writes it again.
    return new Map();
  }
}

async function saveTable(gpu: Gpu, table: Table): Promise<void> {
  const path = tuningPath(gpu);
  if (!path) return;
  const file: TuningFile = { adapter: adapterKey(gpu), measured: Object.fromEntries(table.measured) };
  const { writeOutput } = await import('../../common/files.ts');
  try {
    await writeOutput(path, `${JSON.stringify(file, null, 1)}\n`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // What was measured serves this process all the same; a run in a container without a home ends in no error.
    console.warn(`tuning     ${error.message}; the next run will measure again`);
  }
}

/** Node's built-in modules without an import, which a browser could not resolve. */
function builtin<T extends 'node:fs' | 'node:os' | 'node:path'>(name: T) {
  return typeof process === 'undefined' ? undefined : process.getBuiltinModule?.(name);
}
