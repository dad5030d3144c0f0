import { UserError } from '../../common/errors.ts';
import type { DeviceErrors } from './errors.ts';
import { allocating } from './guard.ts';

/** The device has no room for what was asked of it. It goes on, and so does whoever asks for less. */
export class OutOfMemoryError extends UserError {
  /** What was asked for. */
  readonly bytes: number;
  readonly #held: number;

  /**
   * @param held bytes that are held on the device already
   * @param purpose what the bytes were for
   */
  constructor(bytes: number, held: number, purpose: string, options?: ErrorOptions) {
    super(
      `the GPU has no room for ${bytesText(bytes)} (${purpose}); ${bytesText(held)} are already in use`,
      'Use a smaller batch, float16 weights, or close other programs that use the GPU.',
      options,
    );
    this.name = 'OutOfMemoryError';
    this.bytes = bytes;
    this.#held = held;
  }

  /** The same, with what the one who asked knows of the purpose. */
  naming(purpose: string): OutOfMemoryError {
    return new OutOfMemoryError(this.bytes, this.#held, purpose, { cause: this });
  }
}

/** The error to throw in place of one caught: where there was no room for something, it names the purpose. */
export function named(error: unknown, purpose: string): unknown {
  return error instanceof OutOfMemoryError ? error.naming(purpose) : error;
}

/** Bytes as people read them: MiB from one on. */
export function bytesText(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes} bytes` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Who holds storage that nobody uses at the moment, and can give it back. */
export interface Store {
  /** What it holds on the device, used or not. */
  readonly heldBytes: number;
  trim(): void;
}

/**
 * Makes every buffer and texture of a device. Where there is no room, what the stores have to spare is given back first, and
 * then it is tried once more.
 */
export class DeviceMemory {
  readonly #device: GPUDevice;
  readonly #errors: DeviceErrors;
  readonly #stores: Store[] = [];

  constructor(device: GPUDevice, errors: DeviceErrors) {
    this.#device = device;
    this.#errors = errors;
  }

  addStore(store: Store): void {
    this.#stores.push(store);
  }

  /** @param purpose what it is for, should there be no room */
  createBuffer(descriptor: GPUBufferDescriptor, purpose: string): GPUBuffer {
    return this.#create(descriptor.size, purpose, () => this.#device.createBuffer(descriptor));
  }

  createTexture(descriptor: GPUTextureDescriptor, bytes: number, purpose: string): GPUTexture {
    return this.#create(bytes, purpose, () => this.#device.createTexture(descriptor));
  }

  #create<T extends GPUBuffer | GPUTexture>(bytes: number, purpose: string, make: () => T): T {
    const first = this.#try(bytes, make);
    if (first) return first;
    for (const store of this.#stores) store.trim();
    const second = this.#try(bytes, make);
    if (second) return second;
    const held = this.#stores.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
    throw new OutOfMemoryError(bytes, held, purpose);
  }

  /** Undefined where there is no room. */
  #try<T extends GPUBuffer | GPUTexture>(bytes: number, make: () => T): T | undefined {
    let made: T | undefined;
    try {
      return this.#errors.attempt(
        () => {
          allocating(this.#device, bytes);
          made = make();
          return made;
        },
        (error) => (error instanceof GPUOutOfMemoryError ? new NoRoom() : new Error(error.message)),
      );
    } catch (error) {
      // Mapped at once, a buffer is refused by an exception instead.
      if (!(error instanceof NoRoom || error instanceof RangeError)) throw error;
      made?.destroy();
      return undefined;
    }
  }
}

class NoRoom extends Error {}
