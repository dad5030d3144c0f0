import type { GpuStorage } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { named } from './memory.ts';

/**
 * Runs a launcher that needs storage of its own: what it passes to `hold` goes back to the pool when it ends, however it
 * ends. Where there is no room for it, the error names the kernel.
 */
export function withScratch(
  gpu: Gpu,
  kernel: string,
  body: (hold: <T extends GpuStorage>(storage: T) => T) => void,
): void {
  const held: GpuStorage[] = [];
  const hold = <T extends GpuStorage>(storage: T): T => {
    held.push(storage);
    return storage;
  };
  try {
    body(hold);
  } catch (error) {
    throw named(error, `scratch of kernel ${kernel}`);
  } finally {
    for (const storage of held) gpu.pool.release(storage);
  }
}

/** Storage that `fill` writes to; goes back to the pool if that throws. */
export function filled<T extends GpuStorage>(gpu: Gpu, storage: T, fill: (storage: T) => void): T {
  try {
    fill(storage);
    return storage;
  } catch (error) {
    gpu.pool.release(storage);
    throw error;
  }
}
