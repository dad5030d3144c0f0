import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../src/common/errors.ts';

/** PyTorch on this machine's processor, measured in the same run; see bench/peers/pytorch.py. */
export interface PyTorch {
  readonly version: string;
  readonly threads: number;
  /** The processor type that OpenBLAS, if it is the one that multiplies, was set to; undefined: none. */
  readonly coreType?: string | undefined;
  readonly imagesPerSecond: number;
  /** CLIP-AGIQA's text side in the padded form with the head, forward and backward, and SGD. */
  readonly stepSeconds: number;
}

/**
 * OpenBLAS chooses its kernels by the processor's model, and for one newer than itself those of twenty years ago. PyTorch is to
 * be measured at its best, so these are tried too; another library does not mind.
 */
const coreTypes = [undefined, 'Haswell', 'SkylakeX'];

/** Below this, in GFLOP/s a thread, it is the reference implementation of BLAS that multiplies. */
const slowest = 3;

/** Runs the comparison in a Python that has PyTorch. */
export async function measurePyTorch(python: string, quick: boolean): Promise<PyTorch> {
  const script = fileURLToPath(new URL('./peers/pytorch.py', import.meta.url));
  const threads = availableParallelism();
  const run = async (rounds: number, coreType: string | undefined) => {
    const given = process.env.OPENBLAS_CORETYPE;
    const env = { ...process.env, ...(coreType && !given ? { OPENBLAS_CORETYPE: coreType } : {}) };
    const { stdout } = await promisify(execFile)(python, [script, `${threads}`, `${rounds}`], { env });
    return stdout;
  };
  let speed = Number((await run(0, undefined).catch(unusable(python))).trim());
  let best: string | undefined;
  for (const coreType of coreTypes.slice(1)) {
    // Kernels for another processor end in an illegal instruction.
    const other = Number(await run(0, coreType).catch(() => '0'));
    if (other > speed) [speed, best] = [other, coreType];
  }
  if (speed < slowest * threads)
    throw new UserError(
      `${python}: PyTorch multiplies at ${speed.toFixed(1)} GFLOP/s, with a reference BLAS: too slow for a fair comparison`,
      'Install a fast one (Debian: libopenblas0-pthread), or omit --python.',
    );
  const result = JSON.parse(await run(quick ? 1 : 4, best).catch(unusable(python))) as PyTorch;
  return { ...result, coreType: best };
}

const unusable =
  (python: string) =>
  (error: Error): never => {
    throw new UserError(
      `${python} does not run PyTorch: ${error.message.trim().split('\n').at(-1)}`,
      'Pass a Python in which `import torch` works, or omit --python.',
    );
  };
