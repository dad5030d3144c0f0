/** Storage of a pool, in use or free. `generation` grows with each release, so that stale holders are found out. */
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

/** A matrix of vec4f in a storage texture, which kernels read as `texture_storage_2d<format, read>`. */
export type GpuTexture = Allocation<'texture', GPUTexture> & {
  readonly format: TextureFormat;
  /** In texels. */
  readonly width: number;
  readonly height: number;
};

/** Four words or four halves a texel. */
export type TextureFormat = 'rgba32float' | 'rgba16float';

export const texelBytes: Readonly<Record<TextureFormat, number>> = { rgba32float: 16, rgba16float: 8 };

/** What a kernel can bind. */
export type GpuStorage = GpuBuffer | GpuTexture;

/** Throws unless `bytes` bytes at `offset` are within the buffer, both being multiples of 4. */
export function checkRange(what: string, { id, capacity }: GpuBuffer, offset: number, bytes: number): void {
  if (offset >= 0 && bytes >= 0 && offset + bytes <= capacity && offset % 4 === 0 && bytes % 4 === 0) return;
  throw new Error(
    `${what} of ${bytes} bytes at ${offset} of buffer ${id}, which has ${capacity}: both must be multiples of 4 and within the buffer`,
  );
}

/** Throws unless a copy stays within both buffers, which are two. */
export function checkCopy(
  from: GpuBuffer,
  fromOffset: number,
  to: GpuBuffer,
  toOffset: number,
  bytes: number,
): void {
  checkRange('a copy', from, fromOffset, bytes);
  checkRange('a copy', to, toOffset, bytes);
  if (from === to)
    throw new Error(`a copy within buffer ${from.id}: WebGPU only copies between different buffers`);
}

/** So many texels from the start of each of so many rows. */
export interface TextureArea {
  readonly width: number;
  readonly height: number;
  /** Rows of the buffer before the first one. */
  readonly skippedRows: number;
}

/** Throws unless a copy of the area is within the buffer and the texture. */
export function checkArea(
  from: GpuBuffer,
  to: GpuTexture,
  { width, height, skippedRows }: TextureArea,
): void {
  if (width > to.width || height > to.height)
    throw new Error(`a copy of ${width} x ${height} texels into ${to.width} x ${to.height}`);
  const bytesPerRow = width * texelBytes[to.format];
  checkRange('a copy', from, skippedRows * bytesPerRow, height * bytesPerRow);
}

/** Storage set aside for one captured step: it is reused within it and by nobody else until it is disposed of. */
export class Arena {
  readonly free = new FreeLists();
  readonly owned: GpuStorage[] = [];
  /** What came from the pool and has not been allocated since: no command of the step uses it. */
  readonly idle = new Set<GpuStorage>();
}

/** Free storage, lowest id first: the same sequence of requests is then served by the same buffers. */
export class FreeLists {
  /** By size class. */
  readonly #buffers = new Map<number, GpuBuffer[]>();
  readonly #textures: GpuTexture[] = [];

  takeBuffer(capacity: number): GpuBuffer | undefined {
    return this.#buffers.get(capacity)?.pop();
  }

  /** The smallest that fits, of equals the one with the lowest id. */
  takeTexture(fits: (texture: GpuTexture) => boolean): GpuTexture | undefined {
    let best = -1;
    for (const [i, texture] of this.#textures.entries())
      if (fits(texture) && (best < 0 || texture.capacity <= this.#textures[best]!.capacity)) best = i;
    return best < 0 ? undefined : this.#textures.splice(best, 1)[0];
  }

  put(storage: GpuStorage): void {
    if (storage.kind === 'texture') {
      insert(this.#textures, storage);
      return;
    }
    let list = this.#buffers.get(storage.capacity);
    if (!list) this.#buffers.set(storage.capacity, (list = []));
    insert(list, storage);
  }

  drain(): GpuStorage[] {
    const all = [...[...this.#buffers.values()].flat(), ...this.#textures.splice(0)];
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
