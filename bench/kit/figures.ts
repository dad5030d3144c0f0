import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepData } from '../../src/step/step-data.ts';
import type { EncodeResults } from '../encode.ts';
import type { KernelResults } from '../kernels/measure.ts';
import { shareOfCeiling } from '../kernels/section.ts';
import { readResults } from '../results.ts';
import { digits } from '../section.ts';
import type { TrainResults } from '../train/measure.ts';
import type { TunerResults } from '../tuner.ts';

/** What a stage found, in a line; undefined where it left nothing that can be read. */
export async function figuresOf(stage: string, folder: string): Promise<string | undefined> {
  try {
    const reader = readers[stage];
    return reader && (await reader(folder));
  } catch {
    return undefined;
  }
}

const json = async <T>(folder: string, name: string): Promise<T> =>
  JSON.parse(await readFile(join(folder, name), 'utf8')) as T;

/** A section of the bench, measured in this folder. */
async function section<T>(folder: string, name: string): Promise<T> {
  const [file] = await readResults(join(folder, 'results'));
  const measured = file?.sections[name];
  if (!measured) throw new Error(`${name} was not measured`);
  return measured.results as T;
}

const readers: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  async 'self-check'(folder) {
    const { findings, failed } = await json<{ findings: unknown[]; failed: number }>(folder, 'adapter.json');
    return `${findings.length} checks, ${failed} failed`;
  },
  async parity(folder) {
    const { results, failed } = await json<{ results: { ok?: boolean }[]; failed: number }>(
      folder,
      'parity.json',
    );
    return `${results.filter(({ ok }) => ok !== undefined).length} values, ${failed} failed`;
  },
  async tuner(folder) {
    const { measures, shapes, pending } = await section<TunerResults>(folder, 'tuner');
    if (!measures) return 'a rule chooses on this adapter';
    const other = shapes.filter(({ variant, rule }) => variant !== rule).length;
    return `${shapes.length} shapes, ${other} with another variant than by rule${pending > 0 ? `, no time for ${pending} more` : ''}`;
  },
  async kernels(folder) {
    const { rows, ceiling, unmeasured } = await section<KernelResults>(folder, 'kernels');
    const products = rows.filter(({ group, shape }) => group === 'matmul' && shape.startsWith('1576'));
    const shares = products.map((row) => 100 * shareOfCeiling(row, ceiling));
    const share =
      shares.length > 0
        ? `, products at 1576 rows ${digits(Math.min(...shares))} to ${digits(Math.max(...shares))}% of it`
        : '';
    return `ceiling ${digits(ceiling.gflops)} GFLOP/s and ${digits(ceiling.copyGBs)} GB/s${share}${unmeasured ? `; no time for ${unmeasured} shapes` : ''}`;
  },
  async train(folder) {
    const { step } = await section<TrainResults>(folder, 'train');
    return `${digits(1000 * step.seconds)} ms a step, ${step.dispatches} dispatches`;
  },
  async encode(folder) {
    const { batch, float32, float16, files } = await section<EncodeResults>(folder, 'encode');
    return `${digits(float32.imagesPerSecond)} images/s in batches of ${batch} (float16 weights ${digits(float16.imagesPerSecond)}), ${digits(files.imagesPerSecond)} from files`;
  },
  async step(folder) {
    const { dispatches, times } = await json<Pick<StepData, 'dispatches' | 'times'>>(folder, 'step.json');
    return `${dispatches.length} dispatches, ${digits(times.wall / 1e6)} ms, of which the host's ${digits(times.host / 1e6)}: step.html`;
  },
};
