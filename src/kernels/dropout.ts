import source from '../../shaders/dropout.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';

const kernel = { name: 'dropout', source };

/** out = x with each element dropped with probability p and the rest divided by 1 - p; `seed` holds u32 seed and step. */
export function dropout(
  gpu: Gpu,
  x: GpuBuffer,
  seed: GpuBuffer,
  out: GpuBuffer,
  { size, p, stream }: { readonly size: number; readonly p: number; readonly stream: number },
): void {
  gpu.run(kernel, {
    buffers: [x, seed, out],
    params: [size, stream, Math.floor(p * 2 ** 32), 1 / (1 - p)],
    groups: foldGroups(Math.ceil(size / 256)),
  });
}
