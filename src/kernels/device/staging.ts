import type { DeviceErrors } from './errors.ts';
import type { DeviceMemory } from './memory.ts';

/** Buffers kept of one size, and bytes kept in all. */
const most = { ofSize: 4, bytes: 64 * 2 ** 20 };

/** The buffers that the host reads from: kept for the next read of their size, but not many. */
export class Staging {
  readonly #memory: DeviceMemory;
  readonly #errors: DeviceErrors;
  /** Those at rest by size, the size used longest ago first. */
  readonly #free = new Map<number, GPUBuffer[]>();
  #freeBytes = 0;
  #heldBytes = 0;

  constructor(memory: DeviceMemory, errors: DeviceErrors) {
    this.#memory = memory;
    this.#errors = errors;
    memory.addStore(this);
  }

  /** Bytes held on the device, in use or at rest. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The first `bytes` of the `size` bytes that `copy` has the device copy into a buffer. */
  async read(size: number, bytes: number, copy: (to: GPUBuffer) => void): Promise<ArrayBuffer> {
    const buffer = this.take(size);
    try {
      copy(buffer);
      await this.#errors.wait(buffer.mapAsync(GPUMapMode.READ));
      const data = buffer.getMappedRange().slice(0, bytes);
      buffer.unmap();
      this.give(buffer);
      return data;
    } catch (error) {
      this.drop(buffer);
      throw error;
    }
  }

  /** A buffer to copy `size` bytes to and map; goes back by give() or drop(). */
  take(size: number): GPUBuffer {
    const free = this.#free.get(size)?.pop();
    if (free) {
      this.#freeBytes -= size;
      return free;
    }
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    const made = this.#memory.createBuffer({ size, usage }, `reading ${size} bytes back`);
    this.#heldBytes += size;
    return made;
  }

  /** Takes one back, unmapped, for the next read. */
  give(buffer: GPUBuffer): void {
    const { size } = buffer;
    const list = this.#free.get(size) ?? [];
    if (list.length >= most.ofSize || size > most.bytes) {
      this.drop(buffer);
      return;
    }
    list.push(buffer);
    this.#freeBytes += size;
    // To the end: it was used last.
    this.#free.delete(size);
    this.#free.set(size, list);
    for (const [oldest, others] of this.#free) {
      if (this.#freeBytes <= most.bytes) return;
      this.#free.delete(oldest);
      this.#freeBytes -= oldest * others.length;
      for (const other of others) this.drop(other);
    }
  }

  /** Takes one back whose read has failed. */
  drop(buffer: GPUBuffer): void {
    this.#heldBytes -= buffer.size;
    buffer.destroy();
  }

  /** Destroys those at rest. */
  trim(): void {
    for (const list of this.#free.values()) for (const buffer of list) this.drop(buffer);
    this.#free.clear();
    this.#freeBytes = 0;
  }
}
