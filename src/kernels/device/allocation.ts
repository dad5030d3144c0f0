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
