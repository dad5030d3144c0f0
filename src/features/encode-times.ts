/** Milliseconds so far of encoding images. */
export interface EncodeTimes {
  /** To read files, summed over all threads. */
  readonly read: number;
  /** To decode, crop and resize images, summed over all threads. */
  readonly decode: number;
  /** That the device had nothing to do, since no image was ready. */
  readonly waited: number;
  /** That the device computed. */
  readonly computed: number;
}

/** The times of several encoders together. */
export const addedTimes = (all: readonly EncodeTimes[]): EncodeTimes => {
  const sum = (name: keyof EncodeTimes) => all.reduce((total, times) => total + times[name], 0);
  return { read: sum('read'), decode: sum('decode'), waited: sum('waited'), computed: sum('computed') };
};

/** How long a device had work, and had none, by when it began and ended: several pieces may be under way at a time. */
export class DeviceTime {
  #running = 0;
  /** When it began to have work, or to have none. */
  #since = 0;
  #busy = 0;
  readonly #now: () => number;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Milliseconds in which anything was under way. */
  get busy(): number {
    return this.#busy + (this.#running > 0 ? this.#now() - this.#since : 0);
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running++ === 0) this.#since = this.#now();
    try {
      return await work();
    } finally {
      if (--this.#running === 0) {
        this.#busy += this.#now() - this.#since;
        this.#since = this.#now();
      }
    }
  }

  /** Milliseconds from `start` until now that the device has had nothing to do, if it has nothing now. */
  idleSince(start: number): number {
    return this.#running > 0 ? 0 : this.#now() - Math.max(start, this.#since);
  }
}
