import source from '../../shaders/patches.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

const kernel = { name: 'patches', source };

export interface PatchesShape {
  readonly batch: number;
  /** Of an image, in pixels; multiples of `patch`. */
  readonly height: number;
  readonly width: number;
  /** Side of the square patches, in pixels. */
  readonly patch: number;
}

/** Mean and standard deviation by which bytes, scaled to 0 to 1, are normalized: R, G, B. */
export interface Normalization {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * out [batch · height/patch · width/patch, 3 · patch²]: patches of normalized images [batch, 3, height, width], or,
 * with `normalization`, of RGB bytes row by row (four to a word).
 */
export function patches(
  gpu: Gpu,
  images: GpuBuffer,
  out: GpuBuffer,
  { batch, height, width, patch }: PatchesShape,
  normalization: Normalization | null,
): void {
  const count = batch * 3 * height * width;
  const { mean, std } = normalization ?? { mean: [0, 0, 0], std: [1, 1, 1] };
  gpu.run(kernel, {
    constants: { BYTES: Number(normalization !== null) },
    buffers: [images, out],
    params: [count, height, width, patch, ...mean, ...std.map((x) => 1 / x)],
    groups: elementGroups(count),
  });
}
