import { afterAll, describe, expect, it } from 'vitest';
import { maxAll, sumOfSquares } from '../src/autograd/ops/reduce.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import type { GpuBuffer } from '../src/kernels/device/buffer-pool.ts';
import { type Gpu, openGpu } from '../src/kernels/device/gpu.ts';
import { pendingShapes, tune, tuned } from '../src/kernels/device/tuning.ts';
import { l2Normalize, l2NormalizeBackward } from '../src/kernels/rows/l2-normalize.ts';
import { layerNorm, layerNormBackward, layerNormBackwardParams } from '../src/kernels/rows/layernorm.ts';
import { crossEntropy, crossEntropyBackward, meanSquaredError } from '../src/kernels/rows/losses.ts';
import { columnSum, type Reduction, reduceAll, rowReduce } from '../src/kernels/rows/reduce.ts';
import { applicableRowVariants } from '../src/kernels/rows/row-kernel.ts';
import { softmax, softmaxBackward } from '../src/kernels/rows/softmax.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf, sumOf } from './reference/values.ts';
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

const shapes = [
  [1, 1],
  [3, 17],
  [12, 2],
  [35, 64],
  [96, 197],
  [197, 197],
  [257, 33],
  [462, 512],
] as const;

describe.each(applicableRowVariants(shared))('row-wise kernels, variant %s', (variant) => {
  it.each(shapes)('layer norm forward and by x, %i rows of %i', async (rows, width) => {
    // Far from zero and with an outlier, as CLIP's residual stream has: the variance must not cancel.
    const x = randoms(rows * width, 1).map((v, i) => 3 * v + (i % width === 3 ? 200 : 5));
    const [gamma, beta, dy] = [randoms(width, 2), randoms(width, 3), randoms(rows * width, 4)];
    const residual = randoms(rows * width, 5);
    const y: number[] = [];
    const dx: number[] = [];
    const stats = new Float32Array(2 * rows);
    for (const [r, row] of rowsOf(x, width).entries()) {
      const mean = sumOf(row) / width;
      const scale = 1 / Math.sqrt(sumOf(Array.from(row, (v) => (v - mean) ** 2)) / width + 1e-5);
      stats.set([mean, scale], 2 * r);
      const normed = Array.from(row, (v) => (v - mean) * scale);
      const g = normed.map((_, i) => dy[r * width + i]! * gamma[i]!);
      const meanG = sumOf(g) / width;
      const meanGx = sumOf(g.map((v, i) => v * normed[i]!)) / width;
      for (let i = 0; i < width; i++) {
        y.push(normed[i]! * gamma[i]! + beta[i]!);
        dx.push(scale * (g[i]! - meanG - normed[i]! * meanGx) + residual[r * width + i]!);
      }
    }
    const shape = { rows, width, eps: 1e-5, variant };
    const gotY = await run([x, gamma, beta], rows * width, (out, a, b, c) =>
      layerNorm(shared, { x: a!, affine: { gamma: b!, beta: c! }, y: out, stats: null, ...shape }),
    );
    expect(maxError(gotY, y)).toBeLessThan(1e-5);
    const gotStats = await run([x, x], 2 * rows, (out, a, b) =>
      layerNorm(shared, { x: a!, affine: null, y: b!, stats: out, ...shape }),
    );
    if (width > 1) expect(maxError(gotStats, stats)).toBeLessThan(1e-5);
    const gotDx = await run([x, stats, dy, gamma, residual], rows * width, (out, a, b, c, d, e) =>
      layerNormBackward(shared, { x: a!, stats: b!, dy: c!, gamma: d!, residual: e!, dx: out, ...shape }),
    );
    expect(maxError(gotDx, dx)).toBeLessThan(1e-5);
  });

  it.each(shapes)('softmax and its gradient, %i rows of %i', async (rows, width) => {
    const x = randoms(rows * width, 6, 20);
    const dy = randoms(rows * width, 7);
    const logs = rowsOf(x, width).flatMap((row) => {
      const largest = Math.max(...row);
      const total = largest + Math.log(sumOf(Array.from(row, (v) => Math.exp(v - largest))));
      return Array.from(row, (v) => v - total);
    });
    const y = Float32Array.from(logs, Math.exp);
    for (const log of [false, true]) {
      const expected = log ? Float32Array.from(logs) : y;
      const got = await run([x], x.length, (out, a) =>
        softmax(shared, { x: a!, y: out, rows, width, log, variant }),
      );
      expect(maxError(got, expected)).toBeLessThan(5e-6);
      const dx = rowsOf(dy, width).flatMap((row, r) => {
        const p = y.slice(r * width, (r + 1) * width);
        const sum = sumOf(Array.from(row, (v, i) => (log ? v : v * p[i]!)));
        return Array.from(row, (v, i) => (log ? v - p[i]! * sum : p[i]! * (v - sum)));
      });
      const gotDx = await run([expected, dy], x.length, (out, a, b) =>
        softmaxBackward(shared, { y: a!, dy: b!, dx: out, rows, width, log, variant }),
      );
      if (width > 1) expect(maxError(gotDx, dx)).toBeLessThan(1e-5);
    }
  });

  it('softmax of values beyond the range of exp', async () => {
    const x = Float32Array.of(-3e4, 3e4, 2.99e4, -1e38, -1e38, -1e38, 1, 1, 1);
    const got = await run([x], 9, (out, a) => softmax(shared, { x: a!, y: out, rows: 3, width: 3, variant }));
    expect(maxError(got, [0, 1, 0, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])).toBeLessThan(1e-6);
  });

  it.each([1, 3, 2047, 2048, 2049, 10007])('reductions of %i numbers', async (size) => {
    const x = randoms(size, 8).map((v) => v + 0.3);
    const expected: Record<Reduction, number> = {
      sum: sumOf(x),
      squares: sumOf(Array.from(x, (v) => v * v)),
      max: Math.max(...x),
    };
    for (const operation of ['sum', 'squares', 'max'] as const) {
      const got = await run([x], 1, (out, a) => reduceAll(shared, { x: a!, out, size, operation, variant }));
      expect(maxError(got, [expected[operation]]), operation).toBeLessThan(2e-6);
    }
    const t = randoms(size, 9);
    const [loss] = await run([x, t], 1, (out, a, b) =>
      meanSquaredError(shared, { x: a!, target: b!, loss: out, size, variant }),
    );
    const want = sumOf(Array.from(x, (v, i) => (v - t[i]!) ** 2)) / size;
    expect(Math.abs(loss! / want - 1)).toBeLessThan(2e-6);
  });

  it.each(shapes)('sums over columns, normalizing and cross-entropy, %i rows of %i', async (rows, width) => {
    const x = randoms(rows * width, 10, 3);
    const sums = rowsOf(x, width).map((row) => 0.5 * sumOf(row));
    const got = await run([x], rows, (out, a) =>
      rowReduce(shared, { x: a!, out, rows, width, factor: 0.5, variant }),
    );
    expect(maxError(got, sums)).toBeLessThan(5e-6);
    const unit = rowsOf(x, width).flatMap((row) => Array.from(row, (v) => v / Math.hypot(...row)));
    const gotUnit = await run([x], x.length, (out, a) =>
      l2Normalize(shared, { x: a!, y: out, rows, width, eps: 0, variant }),
    );
    expect(maxError(gotUnit, unit)).toBeLessThan(1e-6);
    const classes = Uint32Array.from({ length: rows }, (_, r) => (5 * r) % width);
    const p = rowsOf(x, width).map((row) => {
      const total = sumOf(Array.from(row, Math.exp));
      return Array.from(row, (v) => Math.exp(v) / total);
    });
    const loss = -sumOf(p.map((row, r) => Math.log(row[classes[r]!]!))) / rows;
    const [gotLoss] = await run([x, classes], 1, (out, a, b) =>
      crossEntropy(shared, { x: a!, classes: b!, loss: out, rows, width, variant }),
    );
    expect(Math.abs(gotLoss! - loss)).toBeLessThan(1e-5 * (1 + loss));
    const dx = p.flatMap((row, r) => row.map((v, c) => (2 / rows) * (v - Number(c === classes[r]))));
    const gotDx = await run([x, classes, Float32Array.of(2)], x.length, (out, a, b, c) =>
      crossEntropyBackward(shared, { x: a!, classes: b!, dloss: c!, dx: out, rows, width, variant }),
    );
    if (width > 1) expect(maxError(gotDx, dx)).toBeLessThan(1e-5);
  });

  it('l2Normalize divides rows shorter than eps by it, forward and backward', async () => {
    const x = Float32Array.of(0, 0, 0, 0.3, 0.4, 0, 3, 4, 0);
    const dy = Float32Array.of(1, 2, 3, 1, 2, 3, 1, 2, 3);
    const options = { rows: 3, width: 3, eps: 2, variant };
    const y = await run([x], 9, (out, a) => l2Normalize(shared, { x: a!, y: out, ...options }));
    expect(maxError(y, [0, 0, 0, 0.15, 0.2, 0, 0.6, 0.8, 0])).toBeLessThan(1e-6);
    const dx = await run([x, dy], 9, (out, a, b) =>
      l2NormalizeBackward(shared, { x: a!, dy: b!, dx: out, ...options }),
    );
    const across = [1 - 0.6 * 2.2, 2 - 0.8 * 2.2, 3].map((v) => v / 5);
    expect(maxError(dx, [0.5, 1, 1.5, 0.5, 1, 1.5, ...across])).toBeLessThan(1e-6);
  });
});

it.each([1024, 1096])('softmax and its gradient by the variant of many rows, %i of 77', async (rows) => {
  const [x, dy] = [randoms(rows * 77, 6, 20), randoms(rows * 77, 7)];
  const shape = { rows, width: 77 };
  const forward = (variant?: string) =>
    run([x], x.length, (y, a) => softmax(shared, { x: a!, y, ...shape, variant }));
  const y = await forward('naive');
  expect(maxError(await forward(), y)).toBeLessThan(1e-6);
  const backward = (variant?: string) =>
    run([y, dy], x.length, (dx, a, b) => softmaxBackward(shared, { y: a!, dy: b!, dx, ...shape, variant }));
  expect(maxError(await backward(), await backward('naive'))).toBeLessThan(1e-6);
});

it.each([
  [1, 5],
  [128, 3],
  [129, 40],
  [20000, 33],
])('sums of %i rows of %i over the rows', async (rows, width) => {
  const x = randoms(rows * width, 11).map((v) => v + 0.1);
  const expected = new Float64Array(width);
  for (const row of rowsOf(x, width)) for (const [i, v] of row.entries()) expected[i]! += 2 * v;
  const got = await run([x], width, (out, a) => columnSum(shared, { x: a!, out, rows, width, factor: 2 }));
  expect(maxError(got, expected)).toBeLessThan(1e-5);
});

it.each([
  [3, 17],
  [462, 64],
])('gradients of layer norm by γ and β, %i rows of %i', async (rows, width) => {
  const [x, dy] = [randoms(rows * width, 12), randoms(rows * width, 13)];
  const stats = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? 0.1 * i : 1.5));
  const [dgamma, dbeta] = [new Float64Array(width), new Float64Array(width)];
  for (let i = 0; i < x.length; i++) {
    const row = Math.floor(i / width);
    dgamma[i % width]! += dy[i]! * (x[i]! - stats[2 * row]!) * 1.5;
    dbeta[i % width]! += dy[i]!;
  }
  const launch = (which: 'dgamma' | 'dbeta') =>
    run([x, stats, dy, x.slice(0, width)], width, (out, a, b, c, other) =>
      layerNormBackwardParams(shared, {
        ...{ x: a!, stats: b!, dy: c!, rows, width },
        dgamma: which === 'dgamma' ? out : other!,
        dbeta: which === 'dbeta' ? out : other!,
      }),
    );
  expect(maxError(await launch('dgamma'), dgamma)).toBeLessThan(1e-5);
  expect(maxError(await launch('dbeta'), dbeta)).toBeLessThan(1e-5);
});

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
    softmax: (gpu) => run([x], x.length, (y, a) => softmax(gpu, { x: a!, y, rows, width }), gpu),
    'the gradient of softmax': (gpu) =>
      run([x, dy], x.length, (dx, a, b) => softmaxBackward(gpu, { y: a!, dy: b!, dx, rows, width }), gpu),
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
        ['/35x77', owners],
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

it.each([1, 197, 6000])('sumOfSquares and maxAll of %i elements', async (size) => {
  const values = randoms(size, 17).map((v) => v - 5);
  const x = Tensor.from(shared, values);
  expect((await maxAll(x).read())[0]).toBe(Math.max(...values));
  const [squares] = await sumOfSquares(x).read();
  expect(squares! / sumOf(values.map((v) => v * v))).toBeCloseTo(1, 5);
});
