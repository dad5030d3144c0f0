import { UserError } from '../common/errors.ts';

/** Storage lent by a {@link BufferPool}. `generation` grows with each release, so that stale holders are found out. */
interface Lent<Kind, Raw> {
  readonly kind: Kind;
  readonly id: number;
  readonly raw: Raw;
  /** What a bind group takes. */
  readonly resource: GPUBindingResource;
  /** Size in bytes on the device: the size class, at least what was asked for. */
  readonly capacity: number;
  generation: number;
  /** The arena that takes it back; undefined for the pool's own free lists. */
  arena: Arena | undefined;
  live: boolean;
}

/** A storage buffer. */
export type GpuBuffer = Lent<'buffer', GPUBuffer>;

/**
 * An array of vec4f in a storage texture, {@link texelWidth} elements a row. Only kernels write and read it, as
 * `texture_storage_2d<rgba32float, …>`: on a software adapter such a read is a third of a buffer's.
 */
export type GpuTexels = Lent<'texels', GPUTexture>;

export type GpuStorage = GpuBuffer | GpuTexels;

/** Texels in a row of {@link GpuTexels}: element i is at (i % texelWidth, i / texelWidth). */
export const texelWidth = 4096;

/** Storage set aside for one captured step: it is reused within it and by nobody else until it is disposed of. */
export class Arena {
  readonly free = new FreeLists();
  readonly owned: GpuStorage[] = [];
}

/** Free storage by size class, lowest id first: the same sequence of requests is then served by the same buffers. */
class FreeLists {
  readonly #lists = { buffer: new Map<number, GpuStorage[]>(), texels: new Map<number, GpuStorage[]>() };

  take(kind: GpuStorage['kind'], capacity: number): GpuStorage | undefined {
    return this.#lists[kind].get(capacity)?.pop();
  }

  put(storage: GpuStorage): void {
    const lists = this.#lists[storage.kind];
    let list = lists.get(storage.capacity);
    if (!list) lists.set(storage.capacity, (list = []));
    let at = list.length; // descending ids, so that pop() gives the lowest
    while (at > 0 && list[at - 1]!.id < storage.id) at--;
    list.splice(at, 0, storage);
  }

  drain(): GpuStorage[] {
    const all = Object.values(this.#lists).flatMap((lists) => [...lists.values()].flat());
    for (const lists of Object.values(this.#lists)) lists.clear();
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
  readonly #texelRows: number;
  readonly #free = new FreeLists();
  readonly #onDestroy: () => void;
  #arena: Arena | undefined;
  #nextId = 1;
  #liveBuffers = 0;
  #liveBytes = 0;
  #peakBytes = 0;
  #heldBytes = 0;
  #created = 0;

  constructor(device: GPUDevice, onDestroy: () => void) {
    this.#device = device;
    this.#largest = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    this.#texelRows = device.limits.maxTextureDimension2D;
    this.#onDestroy = onDestroy;
  }

  /** Lends a buffer of at least `bytes` bytes; its contents are undefined. */
  allocate(bytes: number): GpuBuffer {
    const capacity = sizeClass(bytes);
    if (capacity > this.#largest) throw tooLarge(bytes, this.#largest);
    return this.#lend('buffer', capacity) as GpuBuffer;
  }

  /** Lends at least `count` texels; their contents are undefined. */
  allocateTexels(count: number): GpuTexels {
    const rowBytes = texelWidth * 16;
    const rows = Math.ceil(sizeClass(count * 16) / rowBytes);
    if (rows > this.#texelRows) throw tooLarge(count * 16, this.#texelRows * rowBytes);
    return this.#lend('texels', rows * rowBytes) as GpuTexels;
  }

  /** How many texels {@link allocateTexels} can lend at once. */
  get mostTexels(): number {
    return this.#texelRows * texelWidth;
  }

  #lend(kind: GpuStorage['kind'], capacity: number): GpuStorage {
    const storage =
      this.#arena?.free.take(kind, capacity) ??
      (this.#arena ? undefined : this.#free.take(kind, capacity)) ??
      this.#create(kind, capacity);
    if (this.#arena && !storage.arena) {
      storage.arena = this.#arena;
      this.#arena.owned.push(storage);
    }
    storage.live = true;
    this.#liveBuffers++;
    this.#liveBytes += capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return storage;
  }

  /** Back to the free list; the buffer may be lent out again at once, since commands run in order. */
  release(buffer: GpuStorage): void {
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
  endArena(arena: Arena, used: ReadonlySet<GpuStorage>): void {
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
      this.#onDestroy();
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

  #create(kind: GpuStorage['kind'], capacity: number): GpuStorage {
    this.#heldBytes += capacity;
    this.#created++;
    const state = { id: this.#nextId++, capacity, generation: 0, arena: undefined, live: false };
    if (kind === 'texels') {
      const raw = this.#device.createTexture({
        size: [texelWidth, capacity / (texelWidth * 16)],
        format: 'rgba32float',
        usage: GPUTextureUsage.STORAGE_BINDING,
      });
      return { kind, raw, resource: raw.createView(), ...state };
    }
    const raw = this.#device.createBuffer({
      size: capacity,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    return { kind, raw, resource: { buffer: raw }, ...state };
  }
}

function tooLarge(bytes: number, largest: number): UserError {
  return new UserError(
    `a tensor of ${(bytes / 2 ** 20).toFixed(0)} MiB exceeds this adapter's largest buffer, ${(largest / 2 ** 20).toFixed(0)} MiB`,
    'Use a smaller batch.',
  );
}

/** Rounds a size up so that few classes serve all requests: multiples of 256 bytes, and from 2 KiB on eighths of the power of two below (at most 12.5 % waste). */
export function sizeClass(bytes: number): number {
  const size = Math.max(bytes, 4);
  const step = Math.max(256, 2 ** (Math.ceil(Math.log2(size)) - 4));
  return Math.ceil(size / step) * step;
}
