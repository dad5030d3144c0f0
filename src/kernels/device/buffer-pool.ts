import { UserError } from '../../common/errors.ts';
import { bytesText, type DeviceMemory } from './memory.ts';

/** Storage of a {@link BufferPool}, in use or free. `generation` grows with each release, so that stale holders are found out. */
interface Allocation<Kind, Raw> {
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
export type GpuBuffer = Allocation<'buffer', GPUBuffer>;

/**
 * A matrix of vec4f in a storage texture, which kernels read as `texture_storage_2d<format, read>`: on a software adapter such
 * a read is a third of a buffer's.
 */
export type GpuTexels = Allocation<'texels', GPUTexture> & {
  readonly format: TexelFormat;
  readonly width: number;
  readonly height: number;
};

/** Four words or four halves a texel. */
export type TexelFormat = 'rgba32float' | 'rgba16float';

/** What a kernel can bind. */
export type GpuStorage = GpuBuffer | GpuTexels;

export const texelBytes: Readonly<Record<TexelFormat, number>> = { rgba32float: 16, rgba16float: 8 };

/** Storage set aside for one captured step: it is reused within it and by nobody else until it is disposed of. */
export class Arena {
  readonly free = new FreeLists();
  readonly owned: GpuStorage[] = [];
  /** What came from the pool and has not been allocated since: no command of the step uses it. */
  readonly idle = new Set<GpuStorage>();
}

/** Free storage, lowest id first: the same sequence of requests is then served by the same buffers. */
class FreeLists {
  /** By size class. */
  readonly #buffers = new Map<number, GpuBuffer[]>();
  readonly #texels: GpuTexels[] = [];

  takeBuffer(capacity: number): GpuBuffer | undefined {
    return this.#buffers.get(capacity)?.pop();
  }

  /** The smallest that is wide and high enough. */
  takeTexels(width: number, height: number, format: TexelFormat): GpuTexels | undefined {
    let best = -1;
    for (const [i, one] of this.#texels.entries())
      if (one.format === format && one.width >= width && one.height >= height)
        if (best < 0 || one.capacity <= this.#texels[best]!.capacity) best = i;
    return best < 0 ? undefined : this.#texels.splice(best, 1)[0];
  }

  put(storage: GpuStorage): void {
    if (storage.kind === 'texels') {
      insert(this.#texels, storage);
      return;
    }
    let list = this.#buffers.get(storage.capacity);
    if (!list) this.#buffers.set(storage.capacity, (list = []));
    insert(list, storage);
  }

  drain(): GpuStorage[] {
    const all = [...[...this.#buffers.values()].flat(), ...this.#texels.splice(0)];
    this.#buffers.clear();
    return all;
  }
}

/** Descending ids, so that the last is the lowest. */
function insert<T extends GpuStorage>(list: T[], storage: T): void {
  let at = list.length;
  while (at > 0 && list[at - 1]!.id < storage.id) at--;
  list.splice(at, 0, storage);
}

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
  /** Texels of a texture's side. */
  readonly #side: number;
  readonly #free = new FreeLists();
  readonly #onDestroy: () => void;
  #arena: Arena | undefined;
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
    this.#side = limits.maxTextureDimension2D;
    this.#onDestroy = onDestroy;
  }

  /** A buffer of at least `bytes` bytes; its contents are undefined. */
  allocate(bytes: number): GpuBuffer {
    const capacity = sizeClass(bytes);
    if (capacity > this.#largest) throw tooLarge(bytes, this.#largest);
    const arena = this.#arena;
    const free = arena?.free.takeBuffer(capacity) ?? (arena ? undefined : this.#free.takeBuffer(capacity));
    return this.#use(free ?? this.#createBuffer(capacity));
  }

  /** At least `height` lines of at least `width` texels; their contents are undefined. */
  allocateTexels(width: number, height: number, format: TexelFormat = 'rgba32float'): GpuTexels {
    if (!this.fitsTexels(width, height, format))
      throw new Error(`${width} x ${height} texels exceed this adapter's limit of ${this.#side} per side`);
    const arena = this.#arena;
    const free =
      arena?.free.takeTexels(width, height, format) ??
      (arena ? undefined : this.#free.takeTexels(width, height, format));
    return this.#use(free ?? this.#createTexels(width, height, format));
  }

  /** Lines of texels, at most. */
  get mostLines(): number {
    return this.#side;
  }

  /** Whether {@link allocateTexels} can make so many. */
  fitsTexels(width: number, height: number, format: TexelFormat = 'rgba32float'): boolean {
    return oddLines(width, format) <= this.#side && height <= this.#side;
  }

  #use<T extends GpuStorage>(storage: T): T {
    if (this.#arena) {
      this.#arena.idle.delete(storage);
      if (!storage.arena) {
        storage.arena = this.#arena;
        this.#arena.owned.push(storage);
      }
    }
    storage.live = true;
    this.#liveBuffers++;
    this.#liveBytes += storage.capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return storage;
  }

  /** Back to the free list; the buffer may be allocated again at once, since commands run in order. */
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

  #createBuffer(capacity: number): GpuBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const raw = this.#memory.createBuffer({ size: capacity, usage }, 'a buffer');
    return { kind: 'buffer', raw, resource: { buffer: raw }, ...this.#count(capacity) };
  }

  #createTexels(given: number, height: number, format: TexelFormat): GpuTexels {
    const width = oddLines(given, format);
    const capacity = width * height * texelBytes[format];
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST;
    const raw = this.#memory.createTexture(
      { size: [width, height], format, usage },
      capacity,
      `${width} x ${height} texels`,
    );
    const state = this.#count(capacity);
    return { kind: 'texels', raw, resource: raw.createView(), width, height, format, ...state };
  }

  /** What new storage has in common. */
  #count(capacity: number) {
    this.#heldBytes += capacity;
    this.#created++;
    return { id: this.#nextId++, capacity, generation: 0, arena: undefined, live: false };
  }
}

/** Texels of a line made an odd number of 64-byte cache lines: lines then spread over all sets of a cache. */
function oddLines(width: number, format: TexelFormat): number {
  const each = 64 / texelBytes[format];
  return (Math.ceil(width / each) | 1) * each;
}

function tooLarge(bytes: number, largest: number): UserError {
  return new UserError(
    `a tensor of ${bytesText(bytes)} exceeds this adapter's largest buffer, ${bytesText(largest)}`,
    'Use a smaller batch.',
  );
}

/** Rounds a size up so that few classes serve all requests: multiples of 256 bytes, and from 4 KiB on sixteenths of the power of two below (at most 6.25 % waste). */
export function sizeClass(bytes: number): number {
  const size = Math.max(bytes, 4);
  const step = Math.max(256, 2 ** (Math.ceil(Math.log2(size)) - 5));
  return Math.ceil(size / step) * step;
}
