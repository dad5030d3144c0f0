import type { GpuBuffer } from '../../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';

/** Buffers to run a kernel on, freed together. */
export function workspace(gpu: Gpu) {
  const held: GpuBuffer[] = [];
  const allocate = (bytes: number) => {
    const buffer = gpu.pool.allocate(Math.max(4, bytes));
    held.push(buffer);
    return buffer;
  };
  return {
    /** Room for `elements` words, holding whatever the pool had there. */
    empty: (elements: number) => allocate(4 * elements),
    upload(data: Float32Array | Uint32Array | Uint16Array): GpuBuffer {
      const buffer = allocate(data.byteLength);
      gpu.write(buffer, data);
      return buffer;
    },
    download: async (buffer: GpuBuffer, elements: number) =>
      new Float32Array(await gpu.read(buffer, 4 * elements)),
    release(): void {
      for (const buffer of held.splice(0)) gpu.pool.release(buffer);
    },
  };
}
