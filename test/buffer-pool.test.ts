import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { Arena, BufferPool, sizeClass } from '../src/kernels/device/buffer-pool.ts';
import { DeviceErrors } from '../src/kernels/device/errors.ts';
import { DeviceMemory } from '../src/kernels/device/memory.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const errors = new DeviceErrors({
  device: gpu.device,
  processor: gpu.adapter.software,
  immediate: true,
  watchdog: 0,
});
const pool = () => new BufferPool(gpu.device.limits, new DeviceMemory(gpu.device, errors), () => {});

describe('sizeClass', () => {
  it('wastes at most a sixteenth beyond 4 KiB, and is a multiple of 256', () => {
    expect([0, 1, 256, 257, 2048].map(sizeClass)).toEqual([256, 256, 256, 512, 2048]);
    for (let bytes = 4096; bytes < 1e9; bytes = Math.ceil(bytes * 1.37)) {
      expect(sizeClass(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(sizeClass(bytes)).toBeLessThanOrEqual(bytes * 1.063);
      expect(sizeClass(bytes) % 256).toBe(0);
      expect(sizeClass(sizeClass(bytes))).toBe(sizeClass(bytes));
    }
  });
});

describe('BufferPool', () => {
  it('allocates a released buffer again, the lowest number first', () => {
    const p = pool();
    const [a, b, c] = [p.allocate(1000), p.allocate(1000), p.allocate(1000)];
    for (const buffer of [b, c, a]) p.release(buffer);
    expect([p.allocate(1000), p.allocate(900), p.allocate(1001)]).toEqual([a, b, c]);
    expect(p.allocate(1000)).not.toBe(a);
    expect(p.statistics.created).toBe(4);
  });

  it('counts what is in use and what is held', () => {
    const p = pool();
    const [a, b] = [p.allocate(1024), p.allocate(4096)];
    expect(p.statistics).toMatchObject({ liveBuffers: 2, liveBytes: 5120, peakBytes: 5120, heldBytes: 5120 });
    p.release(b);
    expect(p.statistics).toMatchObject({ liveBuffers: 1, liveBytes: 1024, peakBytes: 5120, heldBytes: 5120 });
    p.resetPeak();
    p.trim();
    expect(p.statistics).toMatchObject({ peakBytes: 1024, heldBytes: 1024 });
    p.release(a);
  });

  it('refuses a second release', () => {
    const p = pool();
    const a = p.allocate(4);
    p.release(a);
    expect(() => p.release(a)).toThrow(/released twice/);
  });

  it('says that a tensor is too large for the adapter', () => {
    const attempt = () => pool().allocate(2 ** 45);
    expect(attempt).toThrow(UserError);
    expect(attempt).toThrow(/33554432.0 MiB exceeds this adapter's largest buffer/);
  });

  it('sets buffers aside for an arena until it is dissolved', () => {
    const p = pool();
    const before = p.allocate(512);
    p.release(before);
    const arena = new Arena();
    p.beginArena(arena);
    const inside = p.allocate(512); // taken from the pool's free ones, to waste none
    expect(inside).toBe(before);
    const second = p.allocate(512);
    p.release(second);
    p.endArena(arena, new Set([inside, second]));
    p.release(inside);
    expect(p.statistics.created).toBe(2);
    const outside = p.allocate(512);
    expect([inside, second]).not.toContain(outside);
    p.dissolve(arena);
    expect([p.allocate(512), p.allocate(512)]).toEqual([inside, second]);
  });

  it('gives back at the end of an arena what the capture did not touch', () => {
    const p = pool();
    const idle = p.allocate(512);
    p.release(idle);
    const arena = new Arena();
    p.beginArena(arena);
    expect(() => p.beginArena(new Arena())).toThrow(/already in progress/);
    p.endArena(arena, new Set());
    expect(p.allocate(512)).toBe(idle);
  });
});

it('running out of GPU memory becomes advice at the next read', async () => {
  const own = await openGpu();
  try {
    const event = new Event('uncapturederror');
    Object.assign(event, { error: new GPUOutOfMemoryError('no room') });
    own.device.dispatchEvent(event);
    const buffer = own.pool.allocate(4);
    const outcome = own.read(buffer, 4);
    await expect(outcome).rejects.toThrow(UserError);
    await expect(outcome).rejects.toThrow(/out of memory.*no room/);
    // Told once: the device goes on.
    expect(await own.read(buffer, 4)).toEqual(new ArrayBuffer(4));
  } finally {
    own.close();
  }
});
