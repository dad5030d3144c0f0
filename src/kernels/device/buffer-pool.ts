import { UserError } from '../../common/errors.ts';
import { type Arena, FreeLists, type GpuBuffer, type GpuStorage } from './allocation.ts';
import { bytesText, type DeviceMemory } from './memory.ts';
import type { Tracer } from './tracer.ts';

export { Arena, type GpuBuffer, type GpuStorage } from './allocation.ts';

/** Bytes and buffers of a pool. */
export interface PoolStatistics {
  /** Buffers and bytes in use now (bytes as size classes). */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  /** Largest `liveBytes` since the last resetPeak(). */
  readonly peakBytes: number;
  /** Bytes held on the device, in use or free. */
  readonly heldBytes: number;
  /** GPUBuffers created so far: constant in a steady state. */
  readonly created: number;
}

/**
 * Allocates storage buffers by size class and takes them back. WebGPU runs a queue in order, so a buffer may be allocated
 * again as soon as the last command that uses it is recorded.
 */
export class BufferPool {
  readonly #memory: DeviceMemory;
  /** Bytes of the largest buffer that can be bound. */
  readonly #largest: number;
  readonly #free = new FreeLists();
  readonly #onDestroy: () => void;
  #arena: Arena | undefined;
  /** As the device's. */
  tracer: Tracer | undefined;
  #nextId = 1;
  #liveBuffers = 0;
  #liveBytes = 0;
  #peakBytes = 0;
  #heldBytes = 0;
  #created = 0;

  constructor(limits: GPUSupportedLimits, memory: DeviceMemory, onDestroy: () => void) {
    this.#memory = memory;
    memory.addStore(this);
    this.#largest = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    this.#onDestroy = onDestroy;
  }

  /** A buffer of at least `bytes` bytes; its contents are undefined. */
  allocate(bytes: number): GpuBuffer {
    const capacity = sizeClass(bytes);
    if (capacity > this.#largest) throw tooLarge(bytes, this.#largest);
    return this.lend(this.free.takeBuffer(capacity) ?? this.#create(capacity), bytes);
  }

  /** What an allocation takes from, if it finds anything there. */
  get free(): FreeLists {
    return this.#arena?.free ?? this.#free;
  }

  /** Counts storage, taken from {@link free} or new, as in use, for `bytes` bytes. */
  lend<T extends GpuStorage>(storage: T, bytes: number): T {
    const arena = this.#arena;
    if (arena) {
      arena.idle.delete(storage);
      if (!storage.arena) {
        storage.arena = arena;
        arena.owned.push(storage);
      }
    }
    storage.live = true;
    this.#liveBuffers++;
    this.#liveBytes += storage.capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    this.tracer?.allocate?.(storage, bytes);
    return storage;
  }

  /** Back to the free list; the buffer may be allocated again at once, since commands run in order. */
  release(buffer: GpuStorage): void {
    if (!buffer.live) throw new Error(`buffer ${buffer.id} was released twice`);
    this.tracer?.release?.(buffer);
    buffer.live = false;
    buffer.generation++;
    this.#liveBuffers--;
    this.#liveBytes -= buffer.capacity;
    (buffer.arena?.free ?? this.#free).put(buffer);
  }

  /** Until endArena, new buffers belong to `arena` (and come from the free lists first, to waste none). */
  beginArena(arena: Arena): void {
    if (this.#arena) throw new Error('a capture is already in progress');
    for (const buffer of this.#free.drain()) {
      buffer.arena = arena;
      arena.owned.push(buffer);
      arena.idle.add(buffer);
      arena.free.put(buffer);
    }
    this.#arena = arena;
  }

  /** New buffers belong to the pool again; `used` are those the arena must keep. */
  endArena(arena: Arena, used: ReadonlySet<GpuStorage>): void {
    this.#arena = undefined;
    arena.idle.clear();
    // What the capture did not touch goes back to everybody.
    for (const buffer of arena.free.drain()) {
      if (used.has(buffer)) arena.free.put(buffer);
      else {
        buffer.arena = undefined;
        this.#free.put(buffer);
      }
    }
  }

  /** Gives an arena's free buffers back to the pool; those still in use follow when they are released. */
  dissolve(arena: Arena): void {
    for (const buffer of arena.owned) if (buffer.arena === arena) buffer.arena = undefined;
    for (const buffer of arena.free.drain()) this.#free.put(buffer);
    arena.owned.length = 0;
  }

  /** Destroys what nobody holds; of a capture under way, what its step has not used so far. */
  trim(): void {
    const arena = this.#arena;
    const unused = this.#free.drain();
    if (arena) {
      const free = arena.free.drain();
      for (const storage of free) if (!arena.idle.has(storage)) arena.free.put(storage);
      unused.push(...free.filter((storage) => arena.idle.delete(storage)));
      const gone = new Set(unused);
      const kept = arena.owned.splice(0).filter((storage) => !gone.has(storage));
      for (const storage of kept) arena.owned.push(storage);
    }
    if (unused.length === 0) return;
    this.#onDestroy();
    for (const { raw, capacity } of unused) {
      this.#heldBytes -= capacity;
      raw.destroy();
    }
  }

  /** The peak starts again from what is in use now. */
  resetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }

  /** Bytes held on the device, in use or free. */
  get heldBytes(): number {
    return this.#heldBytes;
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
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const raw = this.#memory.createBuffer({ size: capacity, usage }, 'a buffer');
    return { kind: 'buffer', raw, resource: { buffer: raw }, ...this.register(capacity) };
  }

  /** Counts new storage; what it has in common with all other. */
  register(capacity: number) {
    this.#heldBytes += capacity;
    this.#created++;
    return { id: this.#nextId++, capacity, generation: 0, arena: undefined, live: false };
  }
}

function tooLarge(bytes: number, largest: number): UserError {
  return new UserError(
    `a tensor of ${bytesText(bytes)} exceeds this adapter's largest buffer, ${bytesText(largest)}`,
    'Use a smaller batch. If it is a weight that is too large, use float16 weights, or an adapter that binds more at once.',
  );
}

/** Rounds a size up so that few classes serve all requests: multiples of 256 bytes, and from 4 KiB on sixteenths of the power of two below (at most 6.25 % waste). */
export function sizeClass(bytes: number): number {
  const size = Math.max(bytes, 4);
  const step = Math.max(256, 2 ** (Math.ceil(Math.log2(size)) - 5));
  return Math.ceil(size / step) * step;
}
