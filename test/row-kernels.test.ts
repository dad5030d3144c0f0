import { afterAll, describe, expect, it } from 'vitest';
import { maxAll, sumOfSquares } from '../src/autograd/ops/reduce.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import type { GpuBuffer } from '../src/kernels/device/buffer-pool.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { pendingShapes, tune, tuned } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { layerNorm, layerNormBackward } from '../src/kernels/rows/layernorm.ts';
import { rowReduce } from '../src/kernels/rows/reduce.ts';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { softmax, softmaxBackward } from '../src/kernels/rows/softmax.ts';
import { rowsOf, sumOf } from '../src/reference/rows.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { workspace } from './reference/workspace.ts';

const shared = await sharedGpu();

/** A second device that passes for a GPU, where the kernels take one row at a time and measure their variants. */
const passing = await openGpu();
Object.defineProperty(passing, 'adapter', { value: { ...passing.adapter, software: false } });
afterAll(() => passing.close());

/** Runs `launch` with these inputs on the device and reads `size` outputs. */
async function run(
  inputs: readonly (Float32Array | Uint32Array)[],
  size: number,
  launch: (out: GpuBuffer, ...buffers: GpuBuffer[]) => void,
  gpu: Gpu = shared,
): Promise<Float32Array> {
  const { upload, empty, download, release } = workspace(gpu);
  const buffers = inputs.map(upload);
  const out = empty(size);
  launch(out, ...buffers);
  const result = await download(out, size);
  release();
  return result;
}

describe('on what passes for a GPU', () => {
  const [rows, width] = [35, 77];
  const [x, dy, gamma] = [randoms(rows * width, 14), randoms(rows * width, 15), randoms(width, 16)];
  const stats = Float32Array.from({ length: 2 * rows }, (_, i) => 0.5 + 0.01 * i);
  const shape = { rows, width, eps: 1e-5 };
  const kernels: Record<string, (gpu: Gpu) => Promise<Float32Array>> = {
    'layer norm': (gpu) =>
      run(
        [x, gamma],
        x.length,
        (y, a, b) => layerNorm(gpu, { x: a!, affine: { gamma: b!, beta: b! }, y, stats: null, ...shape }),
        gpu,
      ),
    'its gradient': (gpu) =>
      run(
        [x, stats, dy],
        x.length,
        (dx, a, b, c) =>
          layerNormBackward(gpu, { x: a!, stats: b!, dy: c!, gamma: null, residual: null, dx, ...shape }),
        gpu,
      ),
    softmax: (gpu) => run([x], x.length, (y, a) => softmax.run(gpu, { buffers: [a!, y] }, shape), gpu),
    'the gradient of softmax': (gpu) =>
      run([x, dy], x.length, (dx, a, b) => softmaxBackward.run(gpu, { buffers: [a!, b!, dx] }, shape), gpu),
  };

  cacheFolder('row-kernels-');

  it.each(Object.keys(kernels))('%s gives the same by rule and as measured', async (name) => {
    const expected = await kernels[name]!(shared);
    const before = tuned(passing).size;
    expect(maxError(await kernels[name]!(passing), expected)).toBeLessThan(1e-6);
    await tune(passing, { rounds: 1 });
    // A lane to a row is not tried on a GPU, nor a workgroup where nothing else could be.
    const owners = applicableRowVariants(passing).filter((variant) => /group/.test(variant));
    const measured = [...tuned(passing)].slice(before);
    if (owners.length > 1)
      expect(measured.map(([key, { times }]) => [key.slice(-6), Object.keys(times)])).toEqual([
        ['/64x77', owners],
      ]);
    expect(maxError(await kernels[name]!(passing), expected)).toBeLessThan(1e-6);
    expect(pendingShapes(passing)).toBe(0);
  });
});

it('a row-wise kernel without a trial is chosen by rule on a GPU, too', async () => {
  const x = randoms(35 * 77, 18);
  const got = await run(
    [x],
    35,
    (out, a) => rowReduce(passing, { x: a!, out, rows: 35, width: 77 }),
    passing,
  );
  expect(maxError(got, rowsOf(x, 77).map(sumOf))).toBeLessThan(1e-5);
  expect(pendingShapes(passing)).toBe(0);
});

describe.each(applicableRowVariants(shared))('by variant %s', (variant) => {
  it.each([1, 3, 2047, 2048, 2049, 10_007])('sumOfSquares and maxAll of %i elements', async (size) => {
    const values = randoms(size, 17).map((v) => v - 5);
    const x = Tensor.from(shared, values);
    const reduced = (f: (x: Tensor) => Tensor) => withRowVariant(variant, () => f(x)).read();
    expect(await reduced(maxAll)).toEqual(Float32Array.of(Math.max(...values)));
    expect(
      maxError(await reduced(sumOfSquares), [sumOf(Float64Array.from(values, (v) => v * v))]),
    ).toBeLessThan(2e-6);
  });
});
