import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** How a stage came out: `cut` is over its time, `stopped` by Ctrl-C. */
export type Outcome = 'done' | 'failed' | 'cut' | 'stopped';

export interface StageRun {
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly stdout: string;
  /** Both streams, line by line as they came. */
  readonly log: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly seconds: number;
  readonly signal?: AbortSignal;
  /** Lines that are not kept: what Dawn remarks, which a command cannot keep back from a pipe. */
  readonly unwanted?: RegExp;
  /** Told of each line as it comes. */
  readonly onLine?: (line: string) => void;
  /** Milliseconds from asking the process to end to ending it. */
  readonly grace?: number;
}

/** Of a stage that prints without end the last part is kept. */
const mostText = 2 ** 24;

/** Runs a script by this process's own Node for so many seconds at most. Only that one process is ever ended. */
export async function runStage(command: readonly string[], options: RunOptions): Promise<StageRun> {
  const { cwd, env, seconds, signal, unwanted, onLine = () => {}, grace = 5000 } = options;
  const began = performance.now();
  const child = spawn(process.execPath, command, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let stdout = '';
  const follow = (stream: Readable, isOutput: boolean) =>
    createInterface({ input: stream }).on('line', (line) => {
      if (unwanted?.test(line)) return;
      log = `${log}${line}\n`.slice(-mostText);
      if (isOutput) stdout = `${stdout}${line}\n`.slice(-mostText);
      onLine(line);
    });
  const readers = [follow(child.stdout, true), follow(child.stderr, false)];
  let cut = false;
  let forced: NodeJS.Timeout | undefined;
  const end = () => {
    child.kill('SIGTERM');
    forced ??= setTimeout(() => child.kill('SIGKILL'), grace);
  };
  const late = setTimeout(() => {
    cut = true;
    end();
  }, 1000 * seconds);
  signal?.addEventListener('abort', end, { once: true });
  if (signal?.aborted) end();
  const status = await new Promise<number | null>((resolve) => {
    child.on('error', (error) => {
      log = `${log}${error.message}\n`;
      resolve(null);
    });
    child.on('close', (code) => resolve(code));
  });
  clearTimeout(late);
  clearTimeout(forced);
  signal?.removeEventListener('abort', end);
  for (const reader of readers) reader.close();
  const outcome = signal?.aborted ? 'stopped' : cut ? 'cut' : status === 0 ? 'done' : 'failed';
  return { outcome, seconds: (performance.now() - began) / 1000, stdout, log };
}
