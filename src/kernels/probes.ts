import arithmeticSource from '../../shaders/check_arithmetic.wgsl';
import subgroupsSource from '../../shaders/check_subgroups.wgsl';
import textureSource from '../../shaders/check_texture.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import type { GpuTexture } from './device/texture-pool.ts';

/** What an adapter's self-check launches to see what other kernels rely on. */

const arithmeticKernel = { name: 'check_arithmetic', source: arithmeticSource };
const subgroupsKernel = { name: 'check_subgroups', source: subgroupsSource };
const textureKernel = { name: 'check_texture', source: textureSource };

/** Words that {@link probeArithmetic} takes, and lanes that {@link probeSubgroups} writes of each workgroup. */
export const probeLanes = 64;

/** Of each of 64 words four: exp2 of it as a float, its two halves as float32, and the half nearest to it as a float. */
export function probeArithmetic(gpu: Gpu, words: GpuBuffer, out: GpuBuffer): void {
  gpu.run(arithmeticKernel, { buffers: [words, out], groups: [1] });
}

/** Of each of 64 lanes eight words, as the shader says; `lanes`: with subgroups of this size, which it asks for. */
export function probeSubgroups(gpu: Gpu, lanes: number | undefined, out: GpuBuffer): void {
  gpu.run(subgroupsKernel, {
    constants: lanes === undefined ? { SIZED: 0 } : { SIZED: 1, LANES: lanes },
    buffers: [out],
    groups: [1],
  });
}

/** The texels of a texture, row by row. */
export function probeTexture(
  gpu: Gpu,
  texture: GpuTexture,
  width: number,
  height: number,
  out: GpuBuffer,
): void {
  gpu.run(textureKernel, {
    buffers: [texture, out],
    params: [width, height],
    groups: [Math.ceil(width / 8), Math.ceil(height / 8)],
  });
}
