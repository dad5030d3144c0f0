import floatSource from '../../shaders/to_float.wgsl';
import halfSource from '../../shaders/to_half.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

const floatKernel = { name: 'to_float', source: floatSource };
const halfKernel = { name: 'to_half', source: halfSource };

/** out = `size` float32 as halves, two to a word; needs no shader-f16. A number beyond the range becomes infinite. */
export function floatsToHalves(gpu: Gpu, x: GpuBuffer, out: GpuBuffer, size: number): void {
  gpu.run(halfKernel, { buffers: [x, out], params: [size], groups: elementGroups(size) });
}

/** out = `size` halves, two to a word, as float32; exact, and needs no shader-f16. */
export function halvesToFloats(gpu: Gpu, x: GpuBuffer, out: GpuBuffer, size: number): void {
  gpu.run(floatKernel, { buffers: [x, out], params: [size], groups: elementGroups(size) });
}
