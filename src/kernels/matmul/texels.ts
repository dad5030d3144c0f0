import writeSource from '../../../shaders/texels_write.wgsl';
import type { GpuBuffer, GpuTexels } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { filled } from '../device/scratch.ts';

/** What a matrix in texels depends on besides the driver's copy. */
export const texelSources = [writeSource];

const kernel = { name: 'texels_write', source: writeSource };

/** Texels of a line that a lane writes. */
const EACH = 8;

/** Bytes between the lines of a buffer that a copy to a texture can take: WebGPU's alignment. */
const lineAlignment = 256;

/** A matrix of `rows` lines of `length` elements, `batch` of them below one another. */
export interface Lines {
  readonly rows: number;
  readonly length: number;
  readonly batch?: number;
}

export interface LinesInBuffer extends Lines {
  /** Its inner length is a multiple of 4. */
  readonly buffer: GpuBuffer;
  /** It lies as [length][rows]. */
  readonly transposed?: boolean;
  /** The buffer holds halves. */
  readonly half?: boolean;
  /** Elements from one batch entry to the next, a multiple of 4; by default dense. */
  readonly stride?: number;
}

/**
 * Whether matrices of these sizes can be read as texels here; only software adapters gain by it. The kernels that do so pass
 * values between the first eight lanes of a subgroup.
 */
export function texelsApply(gpu: Gpu, ...matrices: readonly Lines[]): boolean {
  const { software, readsTexels, subgroupMin } = gpu.adapter;
  return (
    software &&
    readsTexels &&
    gpu.has('subgroups') &&
    subgroupMin >= 8 &&
    matrices.every(({ rows, length, batch = 1 }) => gpu.pool.fitsTexels(Math.ceil(length / 4), rows * batch))
  );
}

/** Whether the driver can copy the matrix as it lies. */
export function copies({ rows, length, batch = 1, transposed, half, stride }: Omit<LinesInBuffer, 'buffer'>) {
  const dense = batch === 1 || (stride ?? rows * length) === rows * length;
  return !transposed && dense && (length * (half ? 2 : 4)) % lineAlignment === 0;
}

/**
 * A copy in texels, four elements of a line each, halves as halves where the driver copies them; the caller releases it.
 * `skipped` lines before it are left out, where the driver copies.
 */
export function asTexels(gpu: Gpu, matrix: LinesInBuffer, skipped = 0): GpuTexels {
  const { buffer, rows, length, batch = 1, transposed = false, half = false } = matrix;
  const width = Math.ceil(length / 4);
  if (copies(matrix)) {
    const height = rows * batch;
    return filled(
      gpu,
      gpu.pool.allocateTexels(width, height, half ? 'rgba16float' : 'rgba32float'),
      (texels) => gpu.copyToTexels(buffer, texels, { width, height, skipped }),
    );
  }
  if (skipped > 0) throw new Error('only what the driver copies can begin after the first line');
  return filled(gpu, gpu.pool.allocateTexels(width, rows * batch), (texels) =>
    gpu.run(kernel, {
      constants: {
        TRANSPOSED: Number(transposed),
        HALF: Number(half),
        EACH,
      },
      buffers: [buffer, texels],
      params: [rows, length, (matrix.stride ?? rows * length) / 4],
      groups: [Math.ceil(width / EACH), Math.ceil(rows / (transposed ? 32 : 8)), batch],
    }),
  );
}

/** Lines of a constant matrix that is kept in texels, in bundles of 8, from `line` on. */
export interface KeptLines {
  readonly texels: GpuTexels;
  /** A multiple of 8. */
  readonly line: number;
}

/** Lines of a kept matrix that lie together. */
export const bundle = 8;

/**
 * Whether a constant matrix of a linear layer, [rows, length], is better kept in texels than in a buffer. What it multiplies, on
 * the way forward and back, must then be what the driver copies.
 */
export function canKeep(gpu: Gpu, rows: number, length: number): boolean {
  const factors = [length, rows].map((inner) => ({ rows: 1, length: inner }));
  return (
    rows % bundle === 0 &&
    texelsApply(gpu, { rows: rows / bundle, length: length * bundle }, ...factors) &&
    factors.every(copies)
  );
}

/**
 * Puts a constant matrix, [rows, length], into texels, float32 or the bits of halves: texel k of line n, of four elements along
 * the line, stands at (8k + n % 8, ⌊n / 8⌋). A tile of the product then reads a few streams instead of a line for each of its
 * columns, whichever way it goes through the matrix, and the processor's prefetcher keeps up. The caller releases it.
 */
export function keepInTexels(
  gpu: Gpu,
  values: Float32Array | Uint16Array,
  rows: number,
  length: number,
): GpuTexels {
  const bundled = new (values.constructor as Float32ArrayConstructor)(values.length);
  let to = 0;
  for (let top = 0; top < rows; top += bundle)
    for (let k = 0; k < length; k += 4)
      for (let line = top; line < top + bundle; line++)
        for (let at = line * length + k; at < line * length + k + 4; at++) bundled[to++] = values[at]!;
  const half = values instanceof Uint16Array;
  const buffer = gpu.pool.allocate(bundled.byteLength);
  try {
    gpu.write(buffer, bundled);
    return asTexels(gpu, { buffer, rows: rows / bundle, length: length * bundle, half });
  } finally {
    gpu.pool.release(buffer);
  }
}
