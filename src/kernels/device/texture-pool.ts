import { type GpuTexture, type TextureFormat, texelBytes } from './allocation.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { DeviceMemory } from './memory.ts';

export type { GpuTexture, TextureFormat } from './allocation.ts';

/** Storage textures of a {@link BufferPool}, which takes them back as it does its buffers. */
export class TexturePool {
  readonly #pool: BufferPool;
  readonly #memory: DeviceMemory;
  /** Rows of a texture, at most, and texels of a row. */
  readonly maxRows: number;

  constructor(limits: GPUSupportedLimits, memory: DeviceMemory, pool: BufferPool) {
    this.#pool = pool;
    this.#memory = memory;
    this.maxRows = limits.maxTextureDimension2D;
  }

  /** Whether {@link allocate} can make one of this size. */
  fits(width: number, height: number, format: TextureFormat = 'rgba32float'): boolean {
    return paddedWidth(width, format) <= this.maxRows && height <= this.maxRows;
  }

  /** At least `height` rows of at least `width` texels; the contents are undefined. */
  allocate(width: number, height: number, format: TextureFormat = 'rgba32float'): GpuTexture {
    if (!this.fits(width, height, format))
      throw new Error(
        `a texture of ${width} x ${height} texels exceeds this adapter's limit of ${this.maxRows} per side`,
      );
    const fitting = (one: GpuTexture) => one.format === format && one.width >= width && one.height >= height;
    return this.#pool.lend(
      this.#pool.free.takeTexture(fitting) ?? this.#create(paddedWidth(width, format), height, format),
      width * height * texelBytes[format],
    );
  }

  #create(width: number, height: number, format: TextureFormat): GpuTexture {
    const capacity = width * height * texelBytes[format];
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST;
    const raw = this.#memory.createTexture(
      { size: [width, height], format, usage },
      capacity,
      `a texture of ${width} x ${height} texels`,
    );
    const state = this.#pool.register(capacity);
    return { kind: 'texture', raw, resource: raw.createView(), width, height, format, ...state };
  }
}

/** Texels of a row made an odd number of 64-byte cache lines: rows then spread over all sets of a cache. */
function paddedWidth(width: number, format: TextureFormat): number {
  const each = 64 / texelBytes[format];
  return (Math.ceil(width / each) | 1) * each;
}
