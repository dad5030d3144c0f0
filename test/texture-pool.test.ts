import { describe, expect, it } from 'vitest';
import { Arena, BufferPool } from '../src/kernels/device/buffer-pool.ts';
import { DeviceErrors } from '../src/kernels/device/errors.ts';
import { DeviceMemory } from '../src/kernels/device/memory.ts';
import { TexturePool } from '../src/kernels/device/texture-pool.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const errors = new DeviceErrors({
  device: gpu.device,
  processor: gpu.adapter.software,
  immediate: true,
  watchdog: 0,
});

function pools(): { pool: BufferPool; textures: TexturePool } {
  const { limits } = gpu.device;
  const memory = new DeviceMemory(gpu.device, errors);
  const pool = new BufferPool(limits, memory, () => {});
  return { pool, textures: new TexturePool(limits, memory, pool) };
}

describe('TexturePool', () => {
  it('makes rows of an odd number of cache lines, and keeps textures apart from buffers', () => {
    const { pool, textures } = pools();
    const texture = textures.allocate(64, 3);
    // 64 texels are 16 cache lines of 4, and made 17.
    expect([texture.width, texture.raw.width, texture.raw.height]).toEqual([68, 68, 3]);
    expect(textures.allocate(64, 3, 'rgba16float').width).toBe(72);
    expect(pool.statistics).toMatchObject({ liveBuffers: 2, liveBytes: 3 * (68 * 16 + 72 * 8) });
    pool.release(texture);
    expect(pool.allocate(texture.capacity).raw).toBeInstanceOf(GPUBuffer);
    const arena = new Arena();
    pool.beginArena(arena);
    expect(textures.allocate(66, 2)).toBe(texture);
    pool.endArena(arena, new Set([texture]));
    pool.release(texture);
    expect(textures.allocate(64, 3)).not.toBe(texture);
    pool.dissolve(arena);
    expect(textures.allocate(1, 1)).toBe(texture);
  });

  it('takes the smallest free texture that is wide and high enough', () => {
    const { pool, textures } = pools();
    const [large, wide, high] = [
      textures.allocate(100, 100),
      textures.allocate(100, 4),
      textures.allocate(4, 100),
    ];
    for (const one of [large, wide, high]) pool.release(one);
    expect(textures.allocate(20, 4)).toBe(wide);
    expect(textures.allocate(20, 4)).toBe(large);
    expect(textures.allocate(4, 4)).toBe(high);
    expect(pool.statistics.created).toBe(3);
  });

  it('knows how many rows an adapter has', () => {
    const { textures } = pools();
    const { maxRows } = textures;
    expect(maxRows).toBe(gpu.device.limits.maxTextureDimension2D);
    expect(textures.fits(1, maxRows)).toBe(true);
    expect(textures.fits(1, maxRows + 1)).toBe(false);
    expect(textures.fits(maxRows, 1)).toBe(false);
    expect(() => textures.allocate(maxRows, 1)).toThrow(/exceeds this adapter's limit/);
  });
});
