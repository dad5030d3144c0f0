import copySource from '../../shaders/copy_to_texture.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { filled } from './device/scratch.ts';
import type { GpuTexture } from './device/texture-pool.ts';
import { subgroupIsVector } from './subgroup-vector.ts';

/**
 * Matrices in textures, four elements of a row a texel, for kernels on adapters that are a processor.
 *
 * Cause: lavapipe compiles a load from a buffer to a loop over the lanes, with a test of the execution mask and a bounds check each:
 * some 300 instructions for 8 lanes' vec4; that of a texel is one call for all lanes, some 100. Measured (Mesa 25.0, LLVM 15, two
 * cores of an AMD EPYC with AVX2): products 1.2 to 1.5 times as fast at 1576 rows, copies of both operands included, attention 1.4
 * times. On a GPU nothing is gained, and buffers are kept. It can go when lavapipe loads vectors of storage buffers as it does texels.
 */

/** What a matrix in a texture depends on besides the driver's copy. */
export const textureSources = [copySource];

const kernel = { name: 'copy_to_texture', source: copySource };

/** Texels of a row that a lane writes. */
const perLane = 8;

/** Bytes between the rows of a buffer that a copy to a texture can take: WebGPU's alignment. */
const rowAlignment = 256;

/** A matrix of `rows` rows of `length` elements, `batch` of them below one another. */
export interface Matrix {
  readonly rows: number;
  readonly length: number;
  readonly batch?: number;
}

/** How a matrix lies in a buffer; its inner length is a multiple of 4. */
export interface MatrixLayout extends Matrix {
  /** As [length][rows]. */
  readonly transposed?: boolean;
  /** As halves, two to a word. */
  readonly half?: boolean;
  /** Elements from one batch entry to the next, a multiple of 4; by default dense. */
  readonly stride?: number;
}

/**
 * Whether matrices of these sizes can be read from textures here; only software adapters gain by it. The kernels that do so pass
 * values between the first eight lanes of a subgroup.
 */
export function canReadTextures(gpu: Gpu, ...matrices: readonly Matrix[]): boolean {
  const { software, readsTextures } = gpu.adapter;
  return (
    software &&
    readsTextures &&
    subgroupIsVector(gpu) &&
    matrices.every(({ rows, length, batch = 1 }) => gpu.textures.fits(Math.ceil(length / 4), rows * batch))
  );
}

/** Whether the driver can copy the matrix as it lies. */
export function isCopyable({ rows, length, batch = 1, transposed, half, stride }: MatrixLayout): boolean {
  const dense = batch === 1 || (stride ?? rows * length) === rows * length;
  return !transposed && dense && (length * (half ? 2 : 4)) % rowAlignment === 0;
}

/**
 * A texture with a copy of a matrix, halves as halves where the driver copies them; the caller releases it. `skippedRows` rows
 * before it are left out, where the driver copies.
 */
export function copyToTexture(
  gpu: Gpu,
  buffer: GpuBuffer,
  layout: MatrixLayout,
  skippedRows = 0,
): GpuTexture {
  const { rows, length, batch = 1, transposed = false, half = false, stride = rows * length } = layout;
  const width = Math.ceil(length / 4);
  const height = rows * batch;
  if (isCopyable(layout)) {
    const texture = gpu.textures.allocate(width, height, half ? 'rgba16float' : 'rgba32float');
    return filled(gpu, texture, () => gpu.copyToTexture(buffer, texture, { width, height, skippedRows }));
  }
  if (skippedRows > 0) throw new Error('only what the driver copies can begin after the first row');
  return filled(gpu, gpu.textures.allocate(width, height), (texture) =>
    gpu.run(kernel, {
      constants: { TRANSPOSED: Number(transposed), HALF: Number(half), TEXELS_PER_LANE: perLane },
      buffers: [buffer, texture],
      params: [rows, length, stride / 4],
      groups: [Math.ceil(width / perLane), Math.ceil(rows / (transposed ? 32 : 8)), batch],
    }),
  );
}
