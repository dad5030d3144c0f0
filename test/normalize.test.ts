import { expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { logSoftmax, softmax } from '../src/autograd/ops/softmax.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf, sumOf } from './reference/values.ts';

const shapes = [
  [1, 3],
  [3, 17],
  [33, 197],
  [257, 64],
] as const;

it.each(shapes)('l2Normalize of %i rows of %i', async (rows, width) => {
  const gpu = await sharedGpu();
  const x = randoms(rows * width, 1, 7);
  const expected = rowsOf(x, width).flatMap((row) => [...row.map((v) => v / Math.hypot(...row))]);
  expect(maxError(await l2Normalize(Tensor.from(gpu, x, [rows, width])).read(), expected)).toBeLessThan(1e-6);
});

it.each(shapes)('softmax and logSoftmax of %i rows of %i', async (rows, width) => {
  const gpu = await sharedGpu();
  const x = randoms(rows * width, 2, 30); // exp(30) and more: the largest must be taken off first
  const input = Tensor.from(gpu, x, [rows, width]);
  const logs = rowsOf(x, width).flatMap((row) => {
    const largest = Math.max(...row);
    const offset = largest + Math.log(sumOf(Array.from(row, (v) => Math.exp(v - largest))));
    return Array.from(row, (v) => v - offset);
  });
  expect(maxError(await logSoftmax(input).read(), logs)).toBeLessThan(1e-6);
  expect(maxError(await softmax(input).read(), logs.map(Math.exp))).toBeLessThan(1e-5);
});

it('the gradients are right', async () => {
  const gpu = await sharedGpu();
  const x = Tensor.from(gpu, randoms(21, 3), [3, 7]);
  for (const op of [l2Normalize, softmax, logSoftmax])
    await gradcheck((a) => op(a!), [x], { tolerance: 1e-2 });
});
