import { expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { matmul } from '../src/kernels/matmul/index.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

/** Operations of each submission, and of what is left, as the tracer and the shapes tell. */
async function piecesOf(gpu: Gpu, record: () => void): Promise<number[]> {
  const pieces: number[] = [];
  let operations = 0;
  gpu.tracer = {
    launch: (_kernel, pipeline, { params = [], groups: [x, y = 1, z = 1] }) => {
      operations += pipeline.work!(params, [x, y, z]).operations;
    },
  };
  const unguard = guardDevice(({ kind }) => {
    if (kind === 'submit') pieces.push(operations);
    return undefined;
  });
  try {
    record();
    gpu.flush();
    await gpu.finish();
  } finally {
    unguard();
    gpu.tracer = undefined;
  }
  return pieces.map((total, i) => total - (pieces[i - 1] ?? 0));
}

/** `count` products of 7.4 GFLOP, the first layer of a block of ViT-B/16 at eight images. */
function products(gpu: Gpu, count: number): () => void {
  const [m, n, k] = [8 * 197, 3072, 768];
  const [a, b, out] = [m * k, n * k, m * n].map((elements) => gpu.pool.allocate(4 * elements));
  return () => {
    for (let i = 0; i < count; i++) matmul(gpu, { a: a!, b: b!, out: out!, m, n, k, transposeB: true });
  };
}

it('work is sent in pieces that no watchdog minds', async () => {
  const gpu = await openGpu({ backend: 'null' });
  const record = products(gpu, 20);
  const pieces = await piecesOf(gpu, record);
  const one = 2 * 8 * 197 * 3072 * 768;
  expect(pieces.reduce((sum, piece) => sum + piece, 0)).toBeCloseTo(20 * one, -3);
  // The one that no longer fits has been launched when the others are sent.
  expect(Math.max(...pieces)).toBeLessThanOrEqual(5e10 + one);
  expect(pieces.length).toBe(4);

  const { recording } = gpu.capture(record);
  gpu.flush();
  const before = gpu.counters.submits;
  recording.replay();
  gpu.flush();
  expect(gpu.counters.submits - before).toBe(4);
  recording.dispose();
  gpu.close();
});

it('a product that is too much for one launch is launched by rows', async () => {
  const gpu = await openGpu({ backend: 'null' });
  const record = products(gpu, 1);
  let launches = 0;
  const count = () => {
    const before = gpu.counters.dispatches;
    record();
    launches = gpu.counters.dispatches - before;
    return launches;
  };
  expect(count()).toBe(1);
  Object.defineProperty(gpu, 'mostOperations', { value: 1e9 });
  const operations: number[] = [];
  gpu.tracer = {
    launch: (_kernel, pipeline, { params = [], groups: [x, y = 1, z = 1] }) => {
      operations.push(pipeline.work!(params, [x, y, z]).operations);
    },
  };
  expect(count()).toBeGreaterThanOrEqual(7);
  gpu.tracer = undefined;
  expect(operations.reduce((sum, one) => sum + one, 0)).toBeCloseTo(2 * 8 * 197 * 3072 * 768, -3);
  // At least a row of tiles each, and a part of one more than fits.
  const tile = 2 * 128 * 3072 * 768;
  expect(Math.max(...operations)).toBeLessThanOrEqual(1e9 + tile);
  gpu.close();
});

it.each([
  [200, 72, 40, false, true],
  [130, 66, 33, true, false],
])('… with the same bits: %i x %i x %i', async (m, n, k, transposeA, transposeB) => {
  const gpu = await sharedGpu();
  const run = async () => {
    const tensors = [m * k, n * k, n, m * n].map((size, i) => Tensor.from(gpu, randoms(size, i + 1)));
    const [a, b, bias, residual] = tensors.map(({ buffer }) => buffer);
    const out = Tensor.empty(gpu, [m, n]);
    const before = gpu.counters.dispatches;
    const given = { a: a!, b: b!, bias: bias!, residual: residual!, out: out.buffer, m, n, k };
    matmul(gpu, { ...given, activation: 'quick_gelu', transposeA, transposeB, variant: 'tile64x64' });
    const launches = gpu.counters.dispatches - before;
    return { launches, values: await out.read() };
  };
  const one = await run();
  Object.defineProperty(gpu, 'mostOperations', { value: 2 * 64 * n * k, configurable: true });
  const several = await run().finally(() => Reflect.deleteProperty(gpu, 'mostOperations'));
  expect([one.launches, several.launches]).toEqual([1, Math.ceil(m / 64)]);
  expect(several.values).toEqual(one.values);
});

it('small work is sent as it was, all at once', async () => {
  const gpu = await openGpu({ backend: 'null' });
  expect(await piecesOf(gpu, products(gpu, 6))).toHaveLength(1);
  gpu.close();
});

it('a processor is sent everything at once, for nobody waits for it to answer', async () => {
  const gpu = await sharedGpu();
  if (!gpu.adapter.software) return;
  const [m, n, k] = [64, 64, 64];
  const [a, b, out] = [m * k, n * k, m * n].map((elements) => gpu.pool.allocate(4 * elements));
  await gpu.finish();
  const before = gpu.counters.submits;
  for (let i = 0; i < 40; i++) matmul(gpu, { a: a!, b: b!, out: out!, m, n, k });
  await gpu.finish();
  expect(gpu.counters.submits - before).toBe(1);
  for (const buffer of [a!, b!, out!]) gpu.pool.release(buffer);
});
