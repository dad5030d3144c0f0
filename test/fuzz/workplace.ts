import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Reply, Request } from './child.ts';

export interface Outcome extends Omit<Reply, 'outcome'> {
  /** Beside those of a reply: `hang` beyond the time limit, `memory` beyond the memory limit, `died` without a word. */
  readonly outcome: Reply['outcome'] | 'hang' | 'memory' | 'died';
}

/** What no case may exceed. */
export const bars = { seconds: 10, mebibytes: 1024 } as const;

/** How far beyond the bar a process is let before it is ended. */
const memoryMargin = 512;
const pollMs = 50;
const pageKibibytes = 4;

/** A process in which cases run one after another; it is replaced when one of them ends it. */
export class Workplace {
  readonly #script: string;
  readonly #env: NodeJS.ProcessEnv;
  #child: Promise<ChildProcess> | null = null;

  /**
   * @param dist folder of the built program
   * @param home stands in for the user's home, so that no case meets or changes what is there
   */
  constructor(dist: URL, home: string) {
    this.#script = fileURLToPath(new URL('fuzz-child.js', dist));
    this.#env = { ...process.env, HOME: home, XDG_CACHE_HOME: home, TMPDIR: home };
  }

  /** Runs one case. */
  async run(request: Request): Promise<Outcome> {
    this.#child ??= this.#start();
    const child = await this.#child;
    const began = performance.now();
    const base = residentMebibytes(child.pid!);
    let highest = base;
    const ended = await new Promise<Outcome | Reply>((resolve) => {
      const finish = (result: Outcome | Reply) => {
        clearInterval(watch);
        child.off('message', finish).off('exit', died);
        resolve(result);
      };
      const end = (outcome: Outcome['outcome']) =>
        finish({ outcome, message: '', ms: performance.now() - began, peak: highest - base });
      const died = () => end('died');
      const watch = setInterval(() => {
        highest = Math.max(highest, residentMebibytes(child.pid!));
        if (highest - base > bars.mebibytes + memoryMargin) end('memory');
        else if (performance.now() - began > bars.seconds * 1000) end('hang');
      }, pollMs);
      child.once('message', finish).once('exit', died);
      child.send(request);
    });
    const result: Outcome =
      ended.peak > bars.mebibytes && ended.outcome !== 'memory' ? { ...ended, outcome: 'memory' } : ended;
    const uncaught = result.outcome === 'stack' && result.message.startsWith('uncaught');
    if (uncaught || ['hang', 'memory', 'died'].includes(result.outcome)) await this.close();
    return result;
  }

  async #start(): Promise<ChildProcess> {
    const child = fork(this.#script, {
      env: this.#env,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await new Promise((resolve) => child.once('message', resolve));
    return child;
  }

  /** Ends the process; the next case starts another. */
  async close(): Promise<void> {
    const child = await this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}

/** Resident memory of a process; 0 where the system does not tell. */
function residentMebibytes(pid: number): number {
  try {
    return (Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * pageKibibytes) / 1024;
  } catch {
    return 0;
  }
}
