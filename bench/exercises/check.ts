import { UserError } from '../../src/common/errors.ts';
import type { GpuBuffer } from '../../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { paramsOf } from '../../src/kernels/device/params.ts';
import type { Kernel } from '../../src/kernels/device/pipelines.ts';
import { specialize } from '../../src/kernels/device/wgsl.ts';
import { workOf } from '../../src/kernels/device/work.ts';
import { workspace } from '../../test/reference/workspace.ts';
import { milliseconds } from '../ceiling.ts';
import type { Exercise, ExerciseCase } from './index.ts';

/** Where an answer departs first from what is right, in words; null where it is right everywhere. */
export interface Checked {
  readonly wrong: string | null;
  /** Largest error over all shapes, as a share of the largest number of each. */
  readonly error: number;
}

type Groups = (params: readonly number[]) => readonly [number, number];

/** How many workgroups an answer asks for: `//@groups n / 8, m / 8`, of the fields of its uniform block, rounded up. */
export function groupsOf(wgsl: string): Groups {
  const line = /^[ \t]*\/\/@groups (.+)$/m.exec(wgsl)?.[1];
  if (line === undefined)
    throw new UserError(
      'the file has no line //@groups',
      'It says how many workgroups to launch: //@groups rows / 8',
    );
  const code = wgsl.replaceAll('//@groups', '// groups');
  const axes = line.split(',').map((text) => {
    try {
      // Expressions of //@work, which have the same names in them.
      const work = workOf(`//@work ${text.trim()} operations, 0 bytes\n${code}`, paramsOf(code));
      return (params: readonly number[]) => Math.ceil(work!(params, [1, 1, 1]).operations);
    } catch (error) {
      throw new UserError(`//@groups ${line}: ${(error as Error).message.replace('//@work', '').trim()}`);
    }
  });
  return (params) => {
    const [x = 1, y = 1] = axes.map((axis) => axis(params));
    return [x, y];
  };
}

/** An answer as a kernel. Throws `UserError` for WGSL that is none. */
function kernelOf(wgsl: string): { readonly kernel: Kernel; readonly groups: Groups } {
  const groups = groupsOf(wgsl);
  try {
    // The lines that stand for other WGSL are the engine's; what is wrong with them is said here.
    specialize(wgsl.replaceAll('//@groups', '// groups'));
  } catch (error) {
    throw new UserError((error as Error).message);
  }
  return { kernel: { name: 'mine', source: wgsl.replaceAll('//@groups', '// groups') }, groups };
}

/** Runs an answer at every shape of its exercise and compares it with float64. */
export async function checkAnswer(gpu: Gpu, exercise: Exercise, wgsl: string): Promise<Checked> {
  const { kernel, groups } = kernelOf(wgsl);
  let largest = 0;
  for (const one of exercise.cases()) {
    const { shape, params, inputs, expected } = one;
    const { upload, download, release } = workspace(gpu);
    let got: Float32Array;
    try {
      const out = upload(new Float32Array(expected.length).fill(Number.NaN)); // what is not written shows
      gpu.run(kernel, { buffers: [...inputs.map(upload), out], params, groups: groups(params) });
      got = await download(out, expected.length);
    } catch (error) {
      throw new UserError((error as Error).message);
    } finally {
      release();
    }
    const most = Math.max(...expected.map(Math.abs));
    for (let i = 0; i < expected.length; i++) {
      const error = Math.abs(got[i]! - expected[i]!) / most;
      if (!(error <= exercise.tolerance)) {
        const says = Number.isNaN(got[i]!) ? 'is NaN, or was not written' : `is ${got[i]!.toPrecision(6)}`;
        return { wrong: `at ${shape}: element ${i} ${says}, expected ${expected[i]!.toPrecision(6)}`, error };
      }
      largest = Math.max(largest, error);
    }
  }
  return { wrong: null, error: largest };
}

/** Least milliseconds of an answer, of the start and of the engine's own kernel, in turns. */
export async function timeAnswer(
  gpu: Gpu,
  exercise: Exercise,
  wgsl: string,
  rounds: number,
): Promise<{
  readonly shape: string;
  readonly mine: number;
  readonly start: number;
  readonly engine: number;
}> {
  const one = exercise.timed();
  const { upload, release } = workspace(gpu);
  try {
    const inputs = one.inputs.map(upload);
    const out = upload(new Float32Array(one.expected.length));
    const own = (text: string) => runner(gpu, text, one, [...inputs, out]);
    const runs = [own(wgsl), own(exercise.start), () => exercise.engine(gpu, inputs, out, one.params)];
    const least = runs.map(() => Number.POSITIVE_INFINITY);
    for (const run of runs) await milliseconds(gpu, run); // compiles
    // Each follows each of the others: what ran before leaves caches as it likes them.
    for (let round = 0; round < rounds; round++)
      for (let turn = 0; turn < runs.length; turn++) {
        const i = ((round % 2 === 0 ? turn : runs.length - 1 - turn) + round) % runs.length;
        least[i] = Math.min(least[i]!, await milliseconds(gpu, runs[i]!));
      }
    const [mine, start, engine] = least as [number, number, number];
    return { shape: one.shape, mine, start, engine };
  } finally {
    release();
  }
}

function runner(gpu: Gpu, wgsl: string, { params }: ExerciseCase, buffers: readonly GpuBuffer[]): () => void {
  const { kernel, groups } = kernelOf(wgsl);
  return () => gpu.run(kernel, { buffers, params, groups: groups(params) });
}
