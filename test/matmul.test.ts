import { describe, expect, it } from 'vitest';
import { maxError } from '../src/common/compare.ts';
import type { GpuBuffer } from '../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { type Measurement, tune, tuned } from '../src/kernels/device/tuning.ts';
import { few } from '../src/kernels/matmul/few.ts';
import {
  applicableMatmuls,
  type MatmulOptions,
  matmul,
  matmulVariants,
} from '../src/kernels/matmul/index.ts';
import { naive } from '../src/kernels/matmul/naive.ts';
import { PackedWeight, packsIntoTexture } from '../src/kernels/matmul/packed-weight.ts';
import { shapeOf } from '../src/kernels/matmul/shape.ts';
import { tiles } from '../src/kernels/matmul/tile.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import type { ActivationName } from '../src/kernels/unary.ts';
import { type ReferenceProduct, referenceMatmul } from '../src/reference/matmul.ts';
import { activate } from '../src/reference/unary.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { exactHalves, randoms } from './reference/values.ts';
import { workspace } from './reference/workspace.ts';

interface Case extends ReferenceProduct {
  readonly half?: boolean;
  readonly bias?: boolean;
  readonly residual?: boolean;
  readonly activation?: ActivationName;
  /** Of an activation, in place of any other epilogue. */
  readonly derivative?: ActivationName;
}

/** Runs one product and returns the largest error against float64, relative to the largest magnitude. */
async function errorOf(gpu: Gpu, c: Case, variant?: string): Promise<number> {
  const { m, n, k, batch = 1, activation = 'none' } = c;
  const entriesB = c.sharedB ? 1 : batch;
  const a = randoms(batch * m * k, 1);
  const half = c.half ? exactHalves(entriesB * k * n) : undefined;
  const b = half?.values ?? randoms(entriesB * k * n, 2);
  const bias = randoms(n, 3);
  const residual = randoms(batch * m * n, 4);
  const { upload, download, release } = workspace(gpu);
  const empty = new Float32Array(batch * m * n).fill(Number.NaN);
  const out = upload(empty);
  const preactivation = c.activation ? upload(empty) : null;
  matmul(gpu, {
    a: upload(a),
    b: upload(half?.bits ?? b),
    out,
    m,
    n,
    k,
    batch,
    strideB: c.sharedB ? 0 : k * n,
    transposeA: c.transposeA ?? false,
    transposeB: c.transposeB ?? false,
    bType: c.half ? 'f16' : 'f32',
    bias: c.bias ? upload(bias) : null,
    residual: c.residual ? upload(residual) : null,
    activation,
    preactivation,
    derivative: c.derivative ? { activation: c.derivative, x: upload(residual) } : null,
    ...(variant && { variant }),
  });
  const got = await download(out, empty.length);
  const gotBefore = preactivation && (await download(preactivation, empty.length));
  release();
  const sums = referenceMatmul(a, b, c).map((sum, at) => sum + (c.bias ? bias[at % n]! : 0));
  const expected = sums.map((sum, at) =>
    c.derivative
      ? sum * derivative(c.derivative, residual[at]!)
      : activate(activation, sum) + (c.residual ? residual[at]! : 0),
  );
  return Math.max(maxError(got, expected), gotBefore ? maxError(gotBefore, sums) : 0);
}

/** By differences, which in float64 are good to nine digits. */
function derivative(name: ActivationName, x: number): number {
  return (activate(name, x + 1e-6) - activate(name, x - 1e-6)) / 2e-6;
}

/** The variants that can compute a case; its buffers do not matter. */
function applies(gpu: Gpu, c: Case): string[] {
  const none = { kind: 'buffer' } as GpuBuffer;
  return applicableMatmuls(gpu, {
    ...c,
    a: none,
    b: none,
    out: none,
    strideB: c.sharedB ? 0 : c.k * c.n,
    bias: null,
    residual: null,
    derivative: null,
  });
}

/** Variants that this adapter never takes. */
const absent = ({ adapter }: Gpu, variant: string) => {
  const vectors = adapter.subgroupMin >= 8;
  if (variant.startsWith('texture')) return !(vectors && adapter.software && adapter.readsTextures);
  return variant.startsWith('simd') && !vectors;
};

const layouts = [
  {},
  { transposeA: true },
  { transposeB: true },
  { transposeA: true, transposeB: true },
] as const;
// Few combinations of epilogue and storage, halves with bias and residual alone: a software adapter compiles a large kernel in about
// a second, and each combination is one in four layouts.
const sizes: Case[] = [
  { m: 1, n: 1, k: 1 },
  { m: 3, n: 17, k: 5 },
  { m: 17, n: 3, k: 197 },
  { m: 257, n: 35, k: 12 },
  { m: 36, n: 76, k: 20 },
  { m: 68, n: 132, k: 48 },
  { m: 132, n: 68, k: 36, bias: true, residual: true, half: true },
  { m: 20, n: 40, k: 12, batch: 3 },
  { m: 4, n: 36, k: 8, batch: 5, sharedB: true },
  { m: 7, n: 9, k: 11, batch: 2, half: true, bias: true, residual: true },
  // Rows that the driver copies, of words and of halves, and a batch of them.
  { m: 64, n: 128, k: 128, half: true, bias: true, residual: true },
  { m: 64, n: 64, k: 64, batch: 2 },
  // A k that few rows are split by, and beyond a round of it.
  { m: 13, n: 28, k: 516 },
  { m: 35, n: 20, k: 260, half: true, bias: true, residual: true },
];

/** For further sizes of a tile whose shader another variant has gone through all sizes with: below and beyond it, aligned and not. */
const furtherSizes: Case[] = [
  { m: 132, n: 260, k: 36, bias: true, residual: true },
  { m: 131, n: 3, k: 37 },
];
const sizesOf = (variant: string) => (/^tile(?!64x64)/.test(variant) ? furtherSizes : sizes);

describe.each(matmulVariants)('matmul %s', (variant) => {
  it('agrees with float64 in every layout and size it applies to', async () => {
    const gpu = await sharedGpu();
    let tried = 0;
    for (const size of sizesOf(variant))
      for (const layout of layouts) {
        const c = { ...size, ...layout };
        if (!applies(gpu, c).includes(variant)) continue;
        tried++;
        expect(await errorOf(gpu, c, variant), JSON.stringify(c)).toBeLessThan(3e-6);
      }
    if (absent(gpu, variant)) return;
    expect(tried).toBeGreaterThan(2);
  });

  it('adds bias, activation, residual and keeps the pre-activation', async () => {
    const gpu = await sharedGpu();
    if (absent(gpu, variant)) return;
    const all = variant === 'naive' || variant === 'simd16x32';
    const activations: readonly ActivationName[] = all ? ['quick_gelu', 'gelu', 'relu'] : ['gelu'];
    for (const activation of activations) {
      const c = { m: 40, n: 72, k: 16, transposeB: true, bias: true, residual: true, activation };
      expect(await errorOf(gpu, c, variant), activation).toBeLessThan(3e-6);
    }
  });

  it('multiplies by the derivative of an activation', async () => {
    const gpu = await sharedGpu();
    if (absent(gpu, variant)) return;
    const kinds: readonly ActivationName[] = variant === 'naive' ? ['quick_gelu', 'relu'] : ['gelu'];
    for (const kind of kinds) {
      const c = { m: 33, n: 40, k: 12, derivative: kind };
      if (!applies(gpu, c).includes(variant)) continue;
      expect(await errorOf(gpu, c, variant), kind).toBeLessThan(3e-6);
    }
  });
});

it('runs the choice of the rule on every size', async () => {
  const gpu = await sharedGpu();
  for (const size of sizes)
    for (const layout of layouts) {
      const c = { ...size, ...layout };
      expect(applies(gpu, c)).toContain('naive');
      expect(await errorOf(gpu, c), JSON.stringify(c)).toBeLessThan(3e-6);
    }
});

it.each([
  { transposeB: true, half: false },
  { transposeB: false, half: false },
  { transposeB: true, half: true },
  { transposeB: false, half: true },
])('multiplies by some rows of a packed weight: %o', async ({ transposeB, half }) => {
  const gpu = await sharedGpu();
  // Of 64 rows of 128 the product takes 48, from the ninth on.
  const [rows, length, first, count] = [64, 128, 8, 48];
  const stored = half ? exactHalves(rows * length) : { values: randoms(rows * length, 5), bits: undefined };
  const [m, k, n] = transposeB ? [21, length, count] : [21, count, length];
  const a = randoms(m * k, 6);
  const { upload, empty, download, release } = workspace(gpu);
  const out = empty(m * n);
  const weight = PackedWeight.pack(gpu, stored.bits ?? stored.values, [rows, length]);
  const b = weight.rows(first, first + count);
  expect([b.shape, b.type]).toEqual([[count, length], half ? 'f16' : 'f32']);
  const options = { a: upload(a), b, out, m, k, n, transposeB, bType: b.type };
  matmul(gpu, options);
  const got = await download(out, m * n);
  const part = stored.values.subarray(first * length, (first + count) * length);
  const expected = referenceMatmul(a, part, { m, k, n, transposeB });
  expect(maxError(got, expected)).toBeLessThan(3e-6);
  if (b.interleaved)
    expect(() => matmul(gpu, { ...options, variant: 'naive' })).toThrow(
      /matmul: variant naive does not apply to n.. interleaved \d+x.*these do: texture16x32/,
    );
  for (const one of [weight, b]) one.dispose();
  release();
});

describe('PackedWeight', () => {
  it.each([
    ['f32', [64, 128]],
    ['f32', [5, 7]],
    ['f16', [64, 128]],
    ['f16', [5, 6]],
    ['f16', [3, 5]],
  ] as const)('of %s %j gives all its memory back with its last handle', async (type, [n, k]) => {
    const gpu = await sharedGpu();
    const before = gpu.pool.statistics;
    const values = type === 'f16' ? exactHalves(n * k).bits.subarray(0, n * k) : randoms(n * k, 1);
    const weight = PackedWeight.pack(gpu, values, [n, k]);
    expect(gpu.pool.statistics.liveBuffers).toBe(before.liveBuffers + 1);
    const view = weight.view();
    weight.dispose();
    weight.dispose();
    expect(() => weight.operand).toThrow(`weight [${n}, ${k}] is disposed`);
    expect(() => weight.rows(0, 1)).toThrow('is disposed');
    const rows = type === 'f16' && k % 2 === 1 ? view.view() : view.rows(0, 2);
    expect(view.operand).toBeDefined();
    view.dispose();
    expect(rows.operand).toBeDefined();
    rows.dispose();
    expect(gpu.pool.statistics).toMatchObject({
      liveBuffers: before.liveBuffers,
      liveBytes: before.liveBytes,
    });
  });

  it('refuses values and rows that do not fit', async () => {
    const gpu = await sharedGpu();
    expect(() => PackedWeight.pack(gpu, new Float32Array(7), [2, 4])).toThrow(
      '7 values do not fill a weight [2, 4]',
    );
    const weight = PackedWeight.pack(gpu, randoms(64 * 128, 1), [64, 128]);
    for (const [begin, end] of [
      [-1, 4],
      [8, 65],
      [8, 8],
    ] as const)
      expect(() => weight.rows(begin, end)).toThrow(`rows ${begin}..${end} of a weight [64, 128]`);
    if (weight.interleaved)
      expect(() => weight.rows(4, 12)).toThrow(
        'row 4 of a weight [64, 128] is inside a group of 8 interleaved rows',
      );
    weight.dispose();
  });
});

describe('tuning', () => {
  cacheFolder('matmul-');

  it('measures the variants for a packed weight on a copy of one', async () => {
    const gpu = await openGpu();
    const [m, n, k] = [24, 64, 64];
    const b = PackedWeight.pack(gpu, randoms(n * k, 9), [n, k]);
    if (b.interleaved) {
      const [a, out] = [gpu.pool.allocate(4 * m * k), gpu.pool.allocate(4 * m * n)];
      matmul(gpu, { a, b, out, m, k, n, transposeB: true });
      await tune(gpu, { rounds: 1 });
      const [[key, { times }]] = [...tuned(gpu)] as [[string, Measurement]];
      expect(key).toMatch(/ntf interleaved 32x64x64$/);
      expect(Object.keys(times)).toEqual(['texture16x32', 'texture24x32']);
    }
    gpu.close();
  });
});

it('multiplies more rows than a texture has by a packed weight', async () => {
  const gpu = await sharedGpu();
  const [n, k] = [64, 64];
  const m = gpu.textures.maxRows + 77;
  const [a, w] = [randoms(m * k, 8), randoms(n * k, 9)];
  const { upload, empty, download, release } = workspace(gpu);
  const out = empty(m * n);
  const b = PackedWeight.pack(gpu, w, [n, k]);
  matmul(gpu, { a: upload(a), b, out, m, k, n, transposeB: true });
  const got = await download(out, m * n);
  const block = Math.floor(gpu.textures.maxRows / 240) * 240;
  for (const row of [0, 1, block - 1, block, gpu.textures.maxRows - 1, gpu.textures.maxRows, m - 1]) {
    const expected = referenceMatmul(a.subarray(row * k, (row + 1) * k), w, { m: 1, n, k, transposeB: true });
    expect(maxError(got.subarray(row * n, (row + 1) * n), expected), `row ${row}`).toBeLessThan(3e-6);
  }
  b.dispose();
  release();
});

it('takes the simd kernels only where a subgroup is about a vector register', async () => {
  const gpu = await sharedGpu();
  const none = { kind: 'buffer' } as GpuBuffer;
  const options = { a: none, b: none, out: none, m: 32, n: 64, k: 64, transposeB: true };
  const taken = (subgroupMin: number) => {
    const passing = { adapter: { ...gpu.adapter, software: false, subgroupMin }, has: () => true };
    return applicableMatmuls(passing as unknown as Gpu, options).some((name) => name.startsWith('simd'));
  };
  expect([4, 8, 16, 32, 64].filter(taken)).toEqual([8, 16]);
});

it('chooses on a GPU by rows and by how many tiles there are', async () => {
  const gpu = await sharedGpu();
  const passing = { ...gpu, adapter: { ...gpu.adapter, software: false, subgroupMin: 32 }, has: () => true };
  const chosen = (m: number, k: number, n: number) => {
    const options = { m, n, k, transposeB: true, a: { kind: 'buffer' }, b: { kind: 'buffer' }, out: {} };
    const shape = shapeOf(options as unknown as MatmulOptions);
    const costs = [naive, ...tiles, few].map(({ name, cost }) => ({
      name,
      cost: cost!(passing as never, shape),
    }));
    return costs.reduce((best, one) => (one.cost < best.cost ? one : best)).name;
  };
  expect(chosen(12608, 768, 3072)).toBe('tile128x128');
  expect(chosen(1576, 768, 3072)).toBe('tile128x128');
  expect(chosen(1576, 768, 2304)).toBe('tile64x128');
  expect(chosen(1576, 768, 768)).toBe('tile64x64');
  expect(chosen(35, 512, 2048)).toBe('few');
  expect(chosen(8, 512, 8)).toBe('naive');
});

it('packs no weight into a texture where the kernel that reads them cannot run', async () => {
  const { adapter, pool, textures } = await sharedGpu();
  const passing = (given: Partial<typeof adapter>) =>
    ({ adapter: { ...adapter, ...given }, pool, textures, has: () => true }) as unknown as Gpu;
  const able = { software: true, readsTextures: true, subgroupMin: 8 };
  expect(packsIntoTexture(passing(able), 64, 64)).toBe(true);
  for (const lack of [{ software: false }, { readsTextures: false }, { subgroupMin: 4 }])
    expect(packsIntoTexture(passing({ ...able, ...lack }), 64, 64)).toBe(false);
  for (const [rows, length] of [
    [64, 60],
    [60, 64],
  ] as const)
    expect(packsIntoTexture(passing(able), rows, length)).toBe(false);
});
