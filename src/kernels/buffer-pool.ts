import { UserError } from '../common/errors.ts';

/** A storage buffer lent by a {@link BufferPool}. `generation` grows with each release, so that stale holders are found out. */
export interface GpuBuffer {
  readonly id: number;
  readonly raw: GPUBuffer;
  /** Size in bytes of the raw buffer: the size class, at least what was asked for. */
  readonly capacity: number;
  generation: number;
  /** The arena that takes the buffer back; undefined for the pool's own free lists. */
  arena: Arena | undefined;
  live: boolean;
}

/** Buffers set aside for one captured step: they are reused within it and by nobody else until it is disposed of. */
export class Arena {
  readonly free = new FreeLists();
  readonly owned: GpuBuffer[] = [];
}

/** Free buffers by size class, lowest id first: the same sequence of requests is then served by the same buffers. */
class FreeLists {
  readonly #lists = new Map<number, GpuBuffer[]>();

  take(capacity: number): GpuBuffer | undefined {
    return this.#lists.get(capacity)?.pop();
  }

  put(buffer: GpuBuffer): void {
    let list = this.#lists.get(buffer.capacity);
    if (!list) this.#lists.set(buffer.capacity, (list = []));
    let at = list.length; // descending ids, so that pop() gives the lowest
    while (at > 0 && list[at - 1]!.id < buffer.id) at--;
    list.splice(at, 0, buffer);
  }

  drain(): GpuBuffer[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    return all;
  }
}

/** Bytes and buffers of a pool. */
export interface PoolStatistics {
  /** Buffers and bytes lent out now (bytes as size classes). */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  /** Largest `liveBytes` since the last resetPeak(). */
  readonly peakBytes: number;
  /** Bytes held on the device, lent out or free. */
  readonly heldBytes: number;
  /** GPUBuffers created so far: constant in a steady state. */
  readonly created: number;
}

/**
 * Lends storage buffers by size class and takes them back. WebGPU runs a queue in order, so a buffer may be lent again
 * as soon as the last command that uses it is recorded.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  /** Bytes of the largest buffer that can be bound. */
  readonly #largest: number;
  readonly #free = new FreeLists();
  readonly #onDestroy: (buffer: GpuBuffer) => void;
  #arena: Arena | undefined;
  #nextId = 1;
  #liveBuffers = 0;
  #liveBytes = 0;
  #peakBytes = 0;
  #heldBytes = 0;
  #created = 0;

  constructor(device: GPUDevice, onDestroy: (buffer: GpuBuffer) => void) {
    this.#device = device;
    this.#largest = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    this.#onDestroy = onDestroy;
  }

  /** Lends a buffer of at least `bytes` bytes; its contents are undefined. */
  allocate(bytes: number): GpuBuffer {
    const capacity = sizeClass(bytes);
    if (capacity > this.#largest)
      throw new UserError(
        `a tensor of ${(bytes / 2 ** 20).toFixed(0)} MiB exceeds this adapter's largest buffer, ${(this.#largest / 2 ** 20).toFixed(0)} MiB`,
        'Use a smaller batch.',
      );
    const buffer =
      this.#arena?.free.take(capacity) ??
      (this.#arena ? undefined : this.#free.take(capacity)) ??
      this.#create(capacity);
    if (this.#arena && !buffer.arena) {
      buffer.arena = this.#arena;
      this.#arena.owned.push(buffer);
    }
    buffer.live = true;
    this.#liveBuffers++;
    this.#liveBytes += capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return buffer;
  }

  /** Back to the free list; the buffer may be lent out again at once, since commands run in order. */
  release(buffer: GpuBuffer): void {
    if (!buffer.live) throw new Error(`buffer ${buffer.id} was released twice`);
    buffer.live = false;
    buffer.generation++;
    this.#liveBuffers--;
    this.#liveBytes -= buffer.capacity;
    (buffer.arena?.free ?? this.#free).put(buffer);
  }

  /** Until endArena, new buffers belong to `arena` (and come from the free lists first, to waste none). */
  beginArena(arena: Arena): void {
    if (this.#arena) throw new Error('a capture is under way already');
    for (const buffer of this.#free.drain()) {
      buffer.arena = arena;
      arena.owned.push(buffer);
      arena.free.put(buffer);
    }
    this.#arena = arena;
  }

  /** New buffers belong to the pool again; `used` are those the arena must keep. */
  endArena(arena: Arena, used: ReadonlySet<GpuBuffer>): void {
    this.#arena = undefined;
    // What the capture did not touch goes back to everybody.
    for (const buffer of arena.free.drain()) {
      if (used.has(buffer)) arena.free.put(buffer);
      else {
        buffer.arena = undefined;
        this.#free.put(buffer);
      }
    }
  }

  /** Gives an arena's free buffers back to the pool; those still lent out follow when they are released. */
  dissolve(arena: Arena): void {
    for (const buffer of arena.owned) if (buffer.arena === arena) buffer.arena = undefined;
    for (const buffer of arena.free.drain()) this.#free.put(buffer);
    arena.owned.length = 0;
  }

  /** Destroys the buffers that nobody holds. */
  trim(): void {
    for (const buffer of this.#free.drain()) {
      this.#heldBytes -= buffer.capacity;
      this.#onDestroy(buffer);
      buffer.raw.destroy();
    }
  }

  /** The peak starts again from what is lent out now. */
  resetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }

  get statistics(): PoolStatistics {
    return {
      liveBuffers: this.#liveBuffers,
      liveBytes: this.#liveBytes,
      peakBytes: this.#peakBytes,
      heldBytes: this.#heldBytes,
      created: this.#created,
    };
  }

  #create(capacity: number): GpuBuffer {
    const raw = this.#device.createBuffer({
      size: capacity,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#heldBytes += capacity;
    this.#created++;
    return { id: this.#nextId++, raw, capacity, generation: 0, arena: undefined, live: false };
  }
}

/** Rounds a size up so that few classes serve all requests: multiples of 256 bytes, and from 2 KiB on eighths of the power of two below (at most 12.5 % waste). */
export function sizeClass(bytes: number): number {
  const size = Math.max(bytes, 4);
  const step = Math.max(256, 2 ** (Math.ceil(Math.log2(size)) - 4));
  return Math.ceil(size / step) * step;
}
