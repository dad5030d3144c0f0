import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GpuBuffer } from '../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { pendingShapes, tune, tuned } from '../src/kernels/device/tuning.ts';
import { binary, fill } from '../src/kernels/elementwise.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { type Family, family, type Variant } from '../src/kernels/variant.ts';
import { cacheFolder } from './cache-folder.ts';

interface Shape {
  readonly size: number;
}

interface Args {
  readonly x: GpuBuffer;
  readonly out: GpuBuffer;
}

const doubling = (name: string, given: Partial<Variant<Shape, Args>> = {}): Variant<Shape, Args> => ({
  name,
  sources: [`// ${name}`],
  applies: () => true,
  launch: (gpu, { x, out }, { size }) => binary(gpu, 'add', x, x, out, size),
  ...given,
});

/** Ways to compute x + x. */
const naive = doubling('naive', {
  cost: () => 2,
  launch(gpu, { x, out }, { size }) {
    for (let i = 0; i < 400; i++) fill(gpu, out, size, i);
    binary(gpu, 'add', x, x, out, size);
  },
});
const even = doubling('even', { applies: (_gpu, { size }) => size % 2 === 0 });

const doubles = (...variants: readonly Variant<Shape, Args>[]): Family<Shape, Args> =>
  family({
    name: 'double',
    variants,
    key: ({ size }) => `${size}`,
    trial: ({ size }) => ({
      inputs: [{ elements: size, type: 'f32' }],
      output: size,
      args: ([x], out) => ({ x: x!, out }),
    }),
  });

cacheFolder('variant-');

describe('a family of variants', () => {
  let gpu: Gpu;
  beforeEach(async () => {
    gpu = await openGpu();
  });
  afterEach(() => gpu.close());

  it('takes the cheapest that applies, the first of equals', () => {
    const same = doubling('same');
    const kernel = doubles(naive, even, same);
    expect(kernel.names).toEqual(['naive', 'even', 'same']);
    expect(kernel.variants(gpu, { size: 5 })).toEqual([naive, same]);
    expect(kernel.choose(gpu, { size: 4 })).toBe(even);
    expect(kernel.choose(gpu, { size: 5 })).toBe(same);
    expect(() => doubles(even).choose(gpu, { size: 5 })).toThrow(/double: no variant applies to 5 on /);
    expect(() => doubles(naive, naive)).toThrow(/double has two variants with the same name/);
  });

  it('refuses a variant that does not apply, and says which do', async () => {
    const size = 5;
    const [x, out] = [gpu.pool.allocate(4 * size), gpu.pool.allocate(4 * size)];
    gpu.write(x, new Float32Array(size).fill(3));
    const kernel = doubles(naive, even, doubling('odd'));
    expect(() => kernel.run(gpu, { x, out }, { size }, 'even')).toThrow(
      /^double: variant even does not apply to 5 on .*; these do: naive, odd$/,
    );
    expect(() => kernel.run(gpu, { x, out }, { size }, 'evn')).toThrow(
      'double has no variant evn; it has: naive, even, odd',
    );
    expect(gpu.counters.dispatches).toBe(0);
    kernel.run(gpu, { x, out }, { size }, 'odd');
    expect(gpu.counters.dispatches).toBe(1);
    expect([...new Float32Array(await gpu.read(out, 4 * size))]).toEqual(Array(size).fill(6));
  });

  it('chooses none that is wrong, and none that writes nothing', async () => {
    const idle = doubling('idle', { launch: () => {} });
    const wrong = doubling('wrong', {
      launch: (to, { x, out }, { size }) => binary(to, 'multiply', x, x, out, size),
    });
    const fast = doubling('fast', { cost: () => 9 });
    const never = doubling('never', { cost: () => Number.POSITIVE_INFINITY });
    const kernel = doubles(naive, idle, wrong, fast, never);
    expect(kernel.choose(gpu, { size: 4096 })).toBe(idle); // by rule: nothing was measured
    await tune(gpu);
    expect(kernel.choose(gpu, { size: 4096 })).toBe(fast);
    expect(Object.keys([...tuned(gpu).values()][0]!.times)).toEqual(['naive', 'fast']);
  });

  it('times nothing where one variant is worth it', () => {
    const kernel = doubles(naive, doubling('never', { cost: () => Number.POSITIVE_INFINITY }));
    expect(kernel.choose(gpu, { size: 64 })).toBe(naive);
    expect(pendingShapes(gpu)).toBe(0);
  });

  it('measures again when the source of any variant changes', async () => {
    const fast = doubling('fast', { cost: () => 9 });
    doubles(naive, fast).choose(gpu, { size: 4096 });
    await tune(gpu);
    expect(doubles(naive, fast).choose(gpu, { size: 4096 })).toBe(fast);
    expect(pendingShapes(gpu)).toBe(0);
    const changed = doubles(naive, { ...fast, sources: ['// fast\n'] });
    expect(changed.choose(gpu, { size: 4096 })).toBe(naive);
    expect(pendingShapes(gpu)).toBe(1);
  });

  it('measures the shape that its trial gives', async () => {
    const seen: number[] = [];
    const fast = doubling('fast', {
      launch(to, { x, out }, { size }) {
        seen.push(size);
        binary(to, 'add', x, x, out, size);
      },
    });
    const kernel = family<Shape, Args>({
      name: 'small trials',
      variants: [naive, fast],
      key: ({ size }) => `${size}`,
      trial: () => ({
        inputs: [{ elements: 64, type: 'f32' }],
        output: 64,
        shape: { size: 64 },
        args: ([x], out) => ({ x: x!, out }),
      }),
    });
    kernel.choose(gpu, { size: 4096 });
    await tune(gpu, { rounds: 1 });
    expect(new Set(seen)).toEqual(new Set([64]));
  });
});
