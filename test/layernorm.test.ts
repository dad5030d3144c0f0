import { describe, expect, it } from 'vitest';
import { add } from '../src/autograd/ops/arithmetic.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { byRows, layerNormRow } from '../src/reference/rows.ts';
import { checkOp, rowShapes } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const variants = applicableRowVariants(await sharedGpu());

describe('layerNorm', () => {
  /** x far from zero: the variance must not cancel. */
  const values = (count: number, i: number) =>
    randoms(count, i + 1).map((value) => (i === 0 ? 3 * value + 5 : value));
  const options = { values, forward: 1e-5 };

  it.each(rowShapes)('of %i rows of %i equals the formula, and so do its gradients', async (rows, width) => {
    await checkOp(
      layerNorm,
      (x, gamma, beta) => byRows(x, width, (row) => layerNormRow(row, { gamma, beta }).y),
      [[rows, width], [width], [width]],
      options,
    );
    await checkOp(
      (x) => layerNorm(x, null, null),
      (x) => byRows(x, width, (row) => layerNormRow(row).y),
      [[rows, width]],
      options,
    );
  });

  it.each([
    [3, 17],
    [35, 64],
  ])('of %i rows of %i with outliers, beside a residual connection', (rows, width) =>
    checkOp(
      (x, gamma, beta) => add(x, layerNorm(x, gamma, beta)),
      (x, gamma, beta) =>
        byRows(x, width, (row) => layerNormRow(row, { gamma, beta }).y.map((y, i) => y + row[i]!)),
      [[rows, width], [width], [width]],
      {
        ...options,
        values: (count, i) =>
          values(count, i).map((value, at) => value + (i === 0 && at % width === 3 ? 200 : 0)),
      },
    ),
  );

  it.each(variants)('of one number is β, or nothing, by variant %s', async (variant) => {
    const gpu = await sharedGpu();
    const number = (value: number) => Tensor.from(gpu, [value]);
    const of = (gamma: Tensor | null, beta: Tensor | null) =>
      withRowVariant(variant, () => layerNorm(number(7), gamma, beta)).read();
    expect(await of(number(2), number(3))).toEqual(Float32Array.of(3));
    expect(await of(null, null)).toEqual(Float32Array.of(0));
  });
});
