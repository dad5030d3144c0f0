import { UserError } from '../../common/errors.ts';
import type { OpenedDevice } from './adapter.ts';
import { nextTicks, waitWithoutSpinning } from './event-loop.ts';
import { Watchdog } from './watchdog.ts';

/** The device is gone (a driver reset, for instance), with all that was on it; see {@link recovering}. */
export class DeviceLostError extends UserError {
  constructor(message: string, options?: ErrorOptions) {
    super(
      message,
      'The driver was reset or ran out of memory. Run the command again: --resume continues training from its last checkpoint.',
      options,
    );
    this.name = 'DeviceLostError';
  }
}

/** What has been sent to the device up to some moment. */
export interface Submitted<T = void> {
  /** Waits until the device has done it; throws the first error that any of it met. */
  wait(): Promise<T>;
}

/**
 * What has gone wrong on a device. An error that the device outlives is thrown once: by the call that caused it where the device
 * says so at once, else by the next wait. What ends it (loss, close()) is thrown by every wait from then on, those under way
 * included: they are never left hanging.
 */
export class DeviceErrors {
  readonly #device: GPUDevice;
  readonly #software: boolean;
  readonly #immediate: boolean;
  #end: Error | undefined;
  #pending: Error | undefined;
  /** Whether it is known which call the pending error comes of. */
  #explained = false;
  /** Errors of the call under way. */
  #heard: GPUError[] | undefined;
  readonly watchdog: Watchdog;
  /** How to give up each wait under way. */
  readonly #waits = new Set<(error: Error) => void>();
  /** Errors on their way. */
  readonly #scopes = new Set<Promise<void>>();

  constructor({
    device,
    processor,
    immediate,
    watchdog,
  }: Pick<OpenedDevice, 'device' | 'processor' | 'immediate' | 'watchdog'>) {
    this.#device = device;
    this.#software = processor;
    this.#immediate = immediate;
    this.watchdog = new Watchdog(watchdog, processor, (error) => this.end(error));
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      event.preventDefault(); // which would print it: it is thrown
      if (this.#heard) this.#heard.push(error);
      else this.#note(plainError(error));
    });
  }

  /** Whether {@link attempt} throws what the device says, and not only the next wait. */
  get immediate(): boolean {
    return this.#immediate;
  }

  /** What ended the device, if anything did. */
  get ended(): Error | undefined {
    return this.#end;
  }

  /** Nothing works from now on. The first reason stays. */
  end(error: Error): void {
    if (this.#end) return;
    this.#end = error;
    for (const giveUp of this.#waits) giveUp(error);
    this.#waits.clear();
  }

  /**
   * What `make` gives. An error that the device finds in its calls is thrown here where the device says so at once; else the
   * next wait throws it, and `later` is called first.
   *
   * @param errorOf the error to throw for what the device says
   */
  attempt<T>(make: () => T, errorOf: (error: GPUError) => Error = plainError, later?: () => void): T {
    if (!this.#immediate) return this.#attemptLater(make, errorOf, later);
    const outer = this.#heard;
    const heard: GPUError[] = [];
    this.#heard = heard;
    let made: T;
    try {
      made = make();
    } finally {
      this.#heard = outer;
    }
    // What follows from the first says less.
    if (heard.length > 0) throw errorOf(heard[0]!);
    return made;
  }

  #attemptLater<T>(make: () => T, errorOf: (error: GPUError) => Error, later?: () => void): T {
    this.#device.pushErrorScope('validation');
    try {
      return make();
    } finally {
      const popped = this.#device.popErrorScope().then(
        (error) => {
          this.#scopes.delete(popped);
          if (!error) return;
          later?.();
          this.#note(errorOf(error), errorOf !== plainError);
        },
        () => void this.#scopes.delete(popped), // the device is lost, which is reported elsewhere
      );
      this.#scopes.add(popped);
    }
  }

  #note(error: Error, explained = false): void {
    // The first error explains those that follow from it; one of a known call, those reported before it.
    if (this.#pending && (this.#explained || !explained)) return;
    this.#pending = error;
    this.#explained = explained;
  }

  /** Throws what ended the device, or once what has been noted. */
  check(): void {
    if (this.#end) throw this.#end;
    const error = this.#pending;
    this.#pending = undefined;
    if (error) throw error;
  }

  /** What is to be waited for later, or never: `work`, which covers all that has been sent. */
  mark<T>(work: Promise<T>): Submitted<T> {
    work.catch(() => {});
    const { groups } = this.watchdog;
    return { wait: () => this.wait(work, groups) };
  }

  /**
   * The value of `work`, which the device settles. Rejects at once when the device ends before, and with what was noted.
   *
   * @param groups of the watchdog, when `work` was begun: now, by default
   */
  async wait<T>(work: Promise<T>, groups?: number): Promise<T> {
    const settled = this.watchdog.begin(groups);
    let finished = false;
    try {
      const value = await this.#unlessEnded(work);
      finished = true;
      return value;
    } finally {
      settled(finished);
      // What has been noted explains the failure of `work`, too.
      while (this.#scopes.size > 0 && !this.#end) await this.#unlessEnded(Promise.all(this.#scopes));
      this.check();
    }
  }

  #unlessEnded<T>(work: Promise<T>): Promise<T> {
    const settled = new Promise<T>((resolve, reject) => {
      this.#waits.add(reject);
      if (this.#end) reject(this.#end);
      work.then(
        (value) => {
          this.#waits.delete(reject);
          resolve(value);
        },
        async (error) => {
          // The loss of the device may be reported after what it interrupts.
          if (!this.#end) await nextTicks(4);
          this.#waits.delete(reject);
          reject(error);
        },
      );
    });
    // Not `work` itself: what a lost device was to do may never be settled, and the event loop would be slowed down for good.
    return waitWithoutSpinning(settled, this.#software);
  }
}

/** A device's error as one of JavaScript's. */
export function plainError(error: GPUError): Error {
  return error instanceof GPUOutOfMemoryError ? outOfMemory(error.message) : new Error(error.message);
}

function outOfMemory(message: string): UserError {
  return new UserError(
    `the GPU is out of memory: ${message}`,
    'Use a smaller batch, float16 weights, or close other programs that use the GPU.',
  );
}
