import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../src/common/errors.ts';

/** PyTorch on this machine's processor, measured in the same run; see bench/peers/pytorch.py. */
export interface PyTorch {
  readonly version: string;
  readonly threads: number;
  readonly picturesPerSecond: number;
  /** CLIP-AGIQA's text side in the padded form with the head, forward and backward, and SGD. */
  readonly stepSeconds: number;
}

/** Runs the comparison in a Python that has PyTorch. */
export async function measurePyTorch(python: string, quick: boolean): Promise<PyTorch> {
  const script = fileURLToPath(new URL('../bench/peers/pytorch.py', import.meta.url));
  const threads = String(availableParallelism());
  try {
    const { stdout } = await promisify(execFile)(python, [script, threads, quick ? '1' : '4']);
    return JSON.parse(stdout) as PyTorch;
  } catch (error) {
    throw new UserError(
      `${python} does not run PyTorch: ${(error as Error).message.trim().split('\n').at(-1)}`,
      'Give a Python in which `import torch` works, or leave --python out.',
    );
  }
}
