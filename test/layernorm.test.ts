import { describe, expect, it } from 'vitest';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { byRows, layerNormRow } from './reference/rows.ts';
import { randoms } from './reference/values.ts';

describe('layerNorm', () => {
  /** x far from zero: the variance must not cancel. */
  const values = (count: number, i: number) =>
    randoms(count, i + 1).map((value) => (i === 0 ? 3 * value + 5 : value));
  const options = { values, forward: 1e-5 };

  it.each([
    [1, 3],
    [3, 17],
    [5, 19],
    [35, 512],
    [197, 768],
    [257, 33],
  ])('of %i rows of %i equals the formula, and so do its gradients', async (rows, width) => {
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

  it('of one number is β, or nothing', async () => {
    const gpu = await sharedGpu();
    const [x, gamma, beta] = [[7], [2], [3]].map((value) => Tensor.from(gpu, value)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    expect(await layerNorm(x, gamma, beta).read()).toEqual(Float32Array.of(3));
    expect(await layerNorm(x, null, null).read()).toEqual(Float32Array.of(0));
  });
});
