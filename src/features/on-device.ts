import type { Gpu } from '../kernels/device/gpu.ts';

/** What lives on a device, and can be made again from what the host holds where the device was lost. */
export class OnDevice<T> {
  readonly #make: (gpu: Gpu) => Promise<T>;
  #gpu: Gpu | undefined;
  #made: Promise<T> | undefined;

  constructor(make: (gpu: Gpu) => Promise<T>) {
    this.#make = make;
  }

  /** It, where it was made last. */
  get latest(): Promise<T> | undefined {
    return this.#made;
  }

  /** It, on this device: made at the first call, and again when the device is another. All who ask meanwhile get the same. */
  on(gpu: Gpu): Promise<T> {
    if (!this.#made || gpu !== this.#gpu) {
      this.#gpu = gpu;
      const made = this.#make(gpu);
      this.#made = made;
      // It is awaited below; where nobody does any more, its failure is nobody's. Who asks next may have more luck.
      made.catch(() => {
        if (this.#made === made) this.#made = undefined;
      });
    }
    return this.#made;
  }
}
