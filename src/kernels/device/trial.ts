import { maxError } from '../../common/compare.ts';
import { median } from '../../common/median.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

/** Host data of a trial's inputs. */
export type TrialData = Float32Array | Uint16Array;

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
  /** What the reference computes instead of the whole, where that would take it long. */
  readonly part?: TrialPart | undefined;
  run(variant: string, inputs: readonly GpuBuffer[], output: GpuBuffer): void;
}

/** Part of a trial's output, computed from part of its inputs. */
export interface TrialPart {
  /** The inputs of the part, from those of the whole. */
  inputs(whole: readonly TrialData[]): readonly TrialData[];
  /** Elements of the part, and where they lie in the whole, one run after the other: start and length. */
  readonly output: number;
  readonly runs: readonly (readonly [start: number, length: number])[];
  run(inputs: readonly GpuBuffer[], output: GpuBuffer): void;
}

/** What came of a trial. */
export interface TrialResult {
  /** Median milliseconds of a launch of each variant that gave the right result. */
  readonly times: Readonly<Record<string, number>>;
  /** Why each of the others was left out. */
  readonly leftOut: Readonly<Record<string, string>>;
}

/** A launch is too short to time by itself: so many milliseconds of them are, one after the other. */
const leastMilliseconds = 5;
const mostLaunches = 256;

/** So much slower than the fastest, twice, a variant is not worth any more time. */
const hopeless = 3;

export interface TrialOptions {
  readonly rounds: number;
  /** Called before a variant runs and after it came to an end, however it did: what is between when the device is lost was its doing. */
  readonly trying?: (variant: string | undefined) => void;
  /** Milliseconds a launch takes; by default measured on this device. */
  readonly clock?: (run: (times: number) => void, times: number) => Promise<number>;
}

/**
 * Runs each variant once, holds its result to the reference, and times those that are right. What a driver refuses, what asks for more
 * memory than there is and what is wrong is left out, and the device goes on; only its loss is thrown.
 */
export async function runTrial(
  gpu: Gpu,
  variants: readonly string[],
  trial: Trial,
  { rounds, trying = () => {}, clock = launches(gpu) }: TrialOptions,
): Promise<TrialResult> {
  const attempts = new Attempts(gpu, trying);
  const { leftOut } = attempts;
  try {
    const data = trial.inputs.map(({ elements, type }, i) =>
      type === 'f16' ? randomHalves(elements, i) : randomFloats(elements, i),
    );
    const inputs = data.map((one) => attempts.upload(one));
    const output = attempts.allocate(trial.output);
    const launch = (variant: string) => trial.run(variant, inputs, output);
    const expected = await attempts.of(trial.reference, () =>
      referenceOf(attempts, trial, data, output, launch),
    );
    if (!expected) return { times: {}, leftOut };
    const right: string[] = [];
    const poison = new Float32Array(trial.output).fill(Number.NaN);
    for (const variant of variants) {
      // The reference is not timed where it computes a part only: it would take as long as all others together.
      if (trial.part && variant === trial.reference) continue;
      // Poisoned, so that a variant that writes nothing is not taken for right.
      gpu.write(output, poison);
      const got = await attempts.of(variant, async () => {
        launch(variant);
        return readRuns(gpu, output, trial.part?.runs ?? [[0, trial.output]]);
      });
      if (!got) continue;
      if (maxError(got, expected) <= trial.tolerance) right.push(variant);
      else leftOut[variant] = 'gives another result than the reference';
    }
    return { times: await timesOf(attempts, right, launch, rounds, clock), leftOut };
  } finally {
    attempts.release();
  }
}

/** Runs what may fail, for one variant at a time, on buffers that are released together. */
class Attempts {
  readonly gpu: Gpu;
  readonly leftOut: Record<string, string> = {};
  readonly #trying: NonNullable<TrialOptions['trying']>;
  readonly #held: GpuBuffer[] = [];

  constructor(gpu: Gpu, trying: NonNullable<TrialOptions['trying']>) {
    this.gpu = gpu;
    this.#trying = trying;
  }

  /** What `work` gives; undefined where it failed, for which the variant is left out. */
  async of<T>(variant: string, work: () => Promise<T>): Promise<T | undefined> {
    this.#trying(variant);
    try {
      return await work();
    } catch (error) {
      // Else its failure ends nothing but itself.
      if (this.gpu.ended) throw error;
      this.leftOut[variant] = (error as Error).message.split('\n')[0]!;
      return undefined;
    } finally {
      if (!this.gpu.ended) this.#trying(undefined);
    }
  }

  allocate(elements: number): GpuBuffer {
    const buffer = this.gpu.pool.allocate(Math.max(4, 4 * elements));
    this.#held.push(buffer);
    return buffer;
  }

  upload(data: TrialData): GpuBuffer {
    const buffer = this.allocate(data instanceof Uint16Array ? data.length / 2 : data.length);
    this.gpu.write(buffer, data);
    return buffer;
  }

  release(): void {
    for (const buffer of this.#held) this.gpu.pool.release(buffer);
  }
}

/** What the reference computes: the whole output, or the trial's part of it. */
async function referenceOf(
  attempts: Attempts,
  { reference, output: elements, part }: Trial,
  data: readonly TrialData[],
  output: GpuBuffer,
  launch: (variant: string) => void,
): Promise<Float32Array> {
  const { gpu } = attempts;
  if (!part) {
    launch(reference);
    return new Float32Array(await gpu.read(output, 4 * elements));
  }
  const result = attempts.allocate(part.output);
  part.run(
    part.inputs(data).map((one) => attempts.upload(one)),
    result,
  );
  return new Float32Array(await gpu.read(result, 4 * part.output));
}

/** Runs of elements, one after the other. */
async function readRuns(gpu: Gpu, from: GpuBuffer, runs: TrialPart['runs']): Promise<Float32Array> {
  const values = new Float32Array(runs.reduce((sum, [, length]) => sum + length, 0));
  let at = 0;
  for (const [start, length] of runs) {
    values.set(new Float32Array(await gpu.read(from, 4 * length, 4 * start)), at);
    at += length;
  }
  return values;
}

/** Median milliseconds of a launch of each variant that does not fail meanwhile. */
async function timesOf(
  attempts: Attempts,
  variants: readonly string[],
  launch: (variant: string) => void,
  rounds: number,
  clock: NonNullable<TrialOptions['clock']>,
): Promise<Record<string, number>> {
  const samples = new Map<string, number[]>(variants.map((variant) => [variant, []]));
  const runOf = (variant: string) => (count: number) => {
    for (let i = 0; i < count; i++) launch(variant);
  };
  const counts = new Map<string, number>();
  // How many launches make up the time; the first one after a pause is slow, and not counted.
  for (const variant of variants) {
    const once = await attempts.of(variant, () => clock(runOf(variant), 1));
    if (once === undefined) samples.delete(variant);
    else counts.set(variant, Math.min(mostLaunches, Math.ceil(leastMilliseconds / Math.max(once, 1e-3))));
  }
  for (let round = 0; round < rounds; round++)
    for (const [variant, times] of samples) {
      const best = Math.min(...[...samples.values()].filter(({ length }) => length > 0).map(median));
      if (times.length >= 2 && Math.min(...times) > hopeless * best) continue;
      const count = counts.get(variant)!;
      const took = await attempts.of(variant, () => clock(runOf(variant), count));
      if (took === undefined) samples.delete(variant);
      else times.push(took);
    }
  return Object.fromEntries([...samples].map(([variant, times]) => [variant, median(times)]));
}

/** The device's own clock: launches one after the other, from submission to completion. */
function launches(gpu: Gpu): NonNullable<TrialOptions['clock']> {
  return async (run, times) => {
    await gpu.finish();
    const start = performance.now();
    run(times);
    await gpu.finish();
    return (performance.now() - start) / times;
  };
}

/** Words of a linear congruential generator (Press et al., Numerical Recipes, section 7.1), the same for the same seed. */
function wordsOf(seed: number): () => number {
  let state = 0x9e3779b9 ^ (seed * 0x85ebca6b);
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

/** Uniform in ±1/2. */
function randomFloats(count: number, seed: number): Float32Array {
  const next = wordsOf(seed);
  return new Float32Array(count).map(() => next() / 2 ** 32 - 0.5);
}

/** Halves in ±[1/4, 1/2): random signs and mantissas under one exponent. */
function randomHalves(count: number, seed: number): Uint16Array {
  const next = wordsOf(seed);
  return new Uint16Array(Math.ceil(count / 2) * 2).map(() => {
    const word = next() >>> 16;
    return (word & 0x8000) | (13 << 10) | (word & 0x3ff);
  });
}
