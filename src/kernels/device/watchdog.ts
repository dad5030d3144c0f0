import { environmentVariable } from '../../common/environment.ts';
import { UserError } from '../../common/errors.ts';

/** The GPU works on something without end, as far as anyone can see. Nothing more can be done with it. */
export class HangError extends UserError {
  constructor(seconds: number, kernels: readonly string[]) {
    super(
      `the GPU has not finished in ${seconds.toFixed(0)} s work that should take much less; the last kernels submitted: ${kernels.join(', ') || 'none'}`,
      `A kernel or the driver hangs: run the command again. If the machine is just slow, allow more time: ${variable}=SECONDS, 0 for no limit.`,
    );
    this.name = 'HangError';
  }
}

/** The environment variable that holds the seconds. */
const variable = 'CLIP_AGIQA_WATCHDOG';

/** By default: hundreds of times what the longest work takes on a loaded machine. */
const usualSeconds = 600;

/** Workgroups that are given the same time again: 20 ms each on a processor, 1 ms on a GPU, of the usual seconds. */
const groupsAtOnce = { software: 30_000, hardware: 600_000 };

/** Names of kernels that an error names. */
export const remembered = 8;

interface Waiter {
  /** Workgroups sent when the wait began. */
  readonly sent: number;
}

/**
 * Notices that a device does not come to an end. The time it has for what it was sent grows with the workgroups of that; it
 * counts while something waits for the device, from the last time that it was seen to finish anything. Time in which the
 * process itself stood still (a machine asleep) does not count.
 */
export class Watchdog {
  readonly #milliseconds: number;
  readonly #groupsAtOnce: number;
  readonly #bark: (error: HangError) => void;
  readonly #waiters = new Set<Waiter>();
  readonly #recent: (string | undefined)[] = new Array(remembered).fill(undefined);
  #count = 0;
  /** Workgroups sent, and those known to be done. */
  #sent = 0;
  #done = 0;
  /** Milliseconds waited since anything was seen to finish. */
  #waited = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;

  /**
   * @param seconds what work of no size may take; 0 for no end
   * @param bark called once
   */
  constructor(seconds: number, software: boolean, bark: (error: HangError) => void) {
    this.#milliseconds = 1000 * seconds;
    this.#groupsAtOnce = software ? groupsAtOnce.software : groupsAtOnce.hardware;
    this.#bark = bark;
  }

  /** Whether something was sent that is not known to be done. */
  get busy(): boolean {
    return this.#sent > this.#done;
  }

  /** A dispatch is encoded. */
  sent(kernel: string, groups: number): void {
    this.#sent += groups;
    this.#recent[this.#count++ % remembered] = kernel;
  }

  /** Several dispatches are encoded; of the kernels the last ones will do. */
  sentAll(kernels: readonly string[], groups: number): void {
    for (const kernel of kernels) this.sent(kernel, 0);
    this.#sent += groups;
  }

  /** Workgroups sent so far. */
  get groups(): number {
    return this.#sent;
  }

  /** Something begins to wait for the first `sent` workgroups; the function returned says that they are done, or were given up. */
  begin(sent = this.#sent): (finished: boolean) => void {
    const waiter = { sent };
    this.#waiters.add(waiter);
    if (this.#milliseconds > 0) this.#start();
    return (finished) => {
      this.#waiters.delete(waiter);
      if (finished) {
        this.#done = Math.max(this.#done, waiter.sent);
        this.#waited = 0;
      }
      if (this.#waiters.size === 0) this.#stop();
    };
  }

  #start(): void {
    if (this.#ticker) return;
    const interval = Math.min(1000, this.#milliseconds / 8);
    this.#waited = 0;
    let last = performance.now();
    this.#ticker = setInterval(() => {
      const now = performance.now();
      this.#waited += Math.min(now - last, 4 * interval);
      last = now;
      const allowed = this.#milliseconds * (1 + (this.#sent - this.#done) / this.#groupsAtOnce);
      if (this.#waited < allowed) return;
      this.#stop();
      this.#bark(new HangError(this.#waited / 1000, this.#kernels()));
    }, interval);
    (this.#ticker as { unref?: () => void }).unref?.();
  }

  #stop(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** The last ones sent, the last one last. */
  #kernels(): string[] {
    const order = Array.from({ length: remembered }, (_, i) => this.#recent[(this.#count + i) % remembered]);
    return order.filter((kernel) => kernel !== undefined);
  }
}

/** The seconds to use: those given, else the environment's, else the usual ones. */
export function watchdogSeconds(given: number | undefined): number {
  const environment = environmentVariable(variable);
  const seconds = given ?? (environment ? Number(environment) : usualSeconds);
  if (!(seconds >= 0) || seconds === Number.POSITIVE_INFINITY)
    throw new UserError(
      `${given === undefined ? `${variable}=${environment}` : `watchdog: ${given}`} is not a number of seconds`,
      'Pass seconds, or 0 for no limit.',
    );
  return seconds;
}
