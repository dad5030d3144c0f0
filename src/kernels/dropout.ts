import source from '../../shaders/dropout.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';

const kernel = { name: 'dropout', source };

/** Stream, threshold and factor, as the shaders that include lib_dropout.wgsl have them. */
export function dropoutParams(dropout: { readonly p: number; readonly stream: number } | null): number[] {
  if (!dropout) return [0, 0, 1];
  const { p, stream } = dropout;
  return [stream, Math.floor(p * 2 ** 32), 1 / (1 - p)];
}

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
    params: [size, ...dropoutParams({ p, stream })],
    groups: foldGroups(Math.ceil(size / 256)),
  });
}
