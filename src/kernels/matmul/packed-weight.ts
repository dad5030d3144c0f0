import type { GpuBuffer, GpuStorage } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { named } from '../device/memory.ts';
import { filled } from '../device/scratch.ts';
import { Storage } from '../device/storage.ts';
import type { GpuTexture } from '../device/texture-pool.ts';
import { canReadTextures, copyToTexture, isCopyable } from '../matrix-texture.ts';

/** Rows of a matrix in a texture, interleaved, from `row` on. */
export interface InterleavedRows {
  readonly texture: GpuTexture;
  /** A multiple of {@link interleave}. */
  readonly row: number;
}

/** Rows of a matrix whose texels take turns. */
const interleave = 8;

/**
 * A constant matrix, [n, k], in the layout that products read fastest on its adapter: rows in a buffer, or interleaved in a texture
 * where the adapter is a processor (src/kernels/matrix-texture.ts says why). Lives until dispose().
 */
export class PackedWeight {
  readonly shape: readonly [n: number, k: number];
  readonly type: 'f32' | 'f16';
  readonly #storage: Storage<GpuStorage>;
  /** The first that is seen of a texture's. */
  readonly #row: number;
  #disposed = false;

  private constructor(
    storage: Storage<GpuStorage>,
    shape: readonly [number, number],
    type: 'f32' | 'f16',
    row = 0,
  ) {
    this.#storage = storage;
    this.shape = shape;
    this.type = type;
    this.#row = row;
  }

  /** From float32 values or the bits of halves. Should there be no room for it, the error gives its name. */
  static pack(
    gpu: Gpu,
    values: Float32Array | Uint16Array,
    shape: readonly [n: number, k: number],
    name = '',
  ): PackedWeight {
    const [n, k] = shape;
    if (values.length !== n * k) throw new Error(`${values.length} values do not fill a weight [${n}, ${k}]`);
    const type = values instanceof Uint16Array ? 'f16' : 'f32';
    try {
      const inTexture = packsIntoTexture(gpu, n, k);
      const allocation = inTexture ? interleaved(gpu, values, n, k) : upload(gpu, values);
      return new PackedWeight(new Storage(gpu, allocation), shape, type);
    } catch (error) {
      throw named(error, `${name === '' ? 'a weight' : `tensor ${name}`} [${n}, ${k}]`);
    }
  }

  get gpu(): Gpu {
    return this.#storage.gpu;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether it stands in a texture. */
  get interleaved(): boolean {
    return this.#storage.allocation.kind === 'texture';
  }

  /** What a product reads; throws once the weight is disposed of. */
  get operand(): GpuBuffer | InterleavedRows {
    const { allocation } = this.#alive();
    return allocation.kind === 'texture' ? { texture: allocation, row: this.#row } : allocation;
  }

  /** The rows `begin` (inclusive) to `end` (exclusive): of a texture a view, of a buffer a copy. */
  rows(begin: number, end: number): PackedWeight {
    const [n, k] = this.shape;
    if (begin < 0 || end > n || begin >= end)
      throw new Error(`rows ${begin}..${end} of a weight [${n}, ${k}]`);
    const shape = [end - begin, k] as const;
    const storage = this.#alive();
    const { gpu, allocation } = storage;
    if (allocation.kind === 'texture') {
      if (begin % interleave !== 0)
        throw new Error(
          `row ${begin} of a weight [${n}, ${k}] is inside a group of ${interleave} interleaved rows`,
        );
      return new PackedWeight(storage.retain(), shape, this.type, this.#row + begin);
    }
    const rowBytes = k * (this.type === 'f16' ? 2 : 4);
    const bytes = shape[0] * rowBytes;
    const copy = filled(gpu, gpu.pool.allocate(bytes), (to) =>
      gpu.copy(allocation, begin * rowBytes, to, 0, bytes),
    );
    return new PackedWeight(new Storage(gpu, copy), shape, this.type);
  }

  /** Another handle on the same weight. */
  view(): PackedWeight {
    return new PackedWeight(this.#alive().retain(), this.shape, this.type, this.#row);
  }

  /** Frees this handle; the storage goes when its last handle does. Twice is harmless. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#storage.release();
  }

  #alive(): Storage<GpuStorage> {
    if (this.#disposed) throw new Error(`weight [${this.shape.join(', ')}] is disposed`);
    return this.#storage;
  }
}

/** Whether products read a constant matrix from a texture: it, and what it multiplies forward and back, is then what the driver copies. */
export function packsIntoTexture(gpu: Gpu, n: number, k: number): boolean {
  const factors = [k, n].map((length) => ({ rows: 1, length }));
  return (
    n % interleave === 0 &&
    canReadTextures(gpu, { rows: n / interleave, length: k * interleave }, ...factors) &&
    factors.every(isCopyable)
  );
}

/**
 * Texel i of row j, of four elements along the row, stands at (8i + j % 8, ⌊j / 8⌋). A tile of the product then reads a few streams
 * instead of a row for each of its columns, whichever way it goes through the matrix, and the processor's prefetcher keeps up.
 */
function interleaved(gpu: Gpu, values: Float32Array | Uint16Array, n: number, k: number): GpuTexture {
  const turns = new (values.constructor as Float32ArrayConstructor)(values.length);
  let to = 0;
  for (let top = 0; top < n; top += interleave)
    for (let i = 0; i < k; i += 4)
      for (let row = top; row < top + interleave; row++)
        for (let at = row * k + i; at < row * k + i + 4; at++) turns[to++] = values[at]!;
  const buffer = upload(gpu, turns);
  try {
    const half = values instanceof Uint16Array;
    return copyToTexture(gpu, buffer, { rows: n / interleave, length: k * interleave, half });
  } finally {
    gpu.pool.release(buffer);
  }
}

function upload(gpu: Gpu, values: Float32Array | Uint16Array): GpuBuffer {
  return filled(gpu, gpu.pool.allocate(values.byteLength), (buffer) => {
    const odd = values.byteLength % 4 !== 0;
    gpu.write(buffer, odd ? Uint16Array.of(...values, 0) : values);
  });
}
