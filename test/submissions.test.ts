import { expect, it } from 'vitest';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { matmul } from '../src/kernels/matmul/index.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';

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
