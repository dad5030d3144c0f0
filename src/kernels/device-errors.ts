import { UserError } from '../common/errors.ts';
import { patiently, turns } from './patience.ts';

/** The device is gone (a driver reset, for instance), with all that was on it; see {@link recovering}. */
export class DeviceLostError extends UserError {
  constructor(message: string, options?: ErrorOptions) {
    super(
      message,
      'The driver reset or ran out of memory. Start again: training resumes from its last checkpoint with --resume.',
      options,
    );
    this.name = 'DeviceLostError';
  }
}

/**
 * What has gone wrong on a device. An error that the device outlives is thrown once, by the next wait; what ends it (loss,
 * close()) by every wait from then on, those under way included: they are never left hanging.
 */
export class DeviceErrors {
  readonly #software: boolean;
  #end: Error | undefined;
  #pending: Error | undefined;
  /** How to give up each wait under way. */
  readonly #waits = new Set<(error: Error) => void>();

  /** @param software whether the processor computes, which decides how a wait waits */
  constructor(software: boolean) {
    this.#software = software;
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

  /** Something recorded or sent before was wrong; the next check() throws it. */
  note(error: Error): void {
    // The first error explains those that follow from it; that of a kernel explains those found before it, too.
    if (!this.#pending || (/^kernel /.test(error.message) && !/^kernel /.test(this.#pending.message)))
      this.#pending = error;
  }

  /** Throws what ended the device, or once what was noted. */
  check(): void {
    if (this.#end) throw this.#end;
    const error = this.#pending;
    this.#pending = undefined;
    if (error) throw error;
  }

  /** The value of `work`, which the device is to settle; rejects at once when the device ends before. */
  wait<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waits.add(reject);
      const settled = () => this.#waits.delete(reject);
      if (this.#end) reject(this.#end);
      patiently(work, this.#software).then(
        (value) => {
          settled();
          if (this.#end) reject(this.#end);
          else resolve(value);
        },
        async (error) => {
          // That the device is lost may be told after what it interrupts.
          if (!this.#end) await turns(4);
          settled();
          reject(this.#end ?? error);
        },
      );
    });
  }
}
