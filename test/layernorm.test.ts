import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf, sumOf } from './reference/values.ts';

function expected(x: Float32Array, width: number, gamma?: Float32Array, beta?: Float32Array): number[] {
  return rowsOf(x, width).flatMap((row) => {
    const mean = sumOf(row) / width;
    const variance = sumOf(row.map((value) => (value - mean) ** 2)) / width;
    return Array.from(
      row,
      (value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (gamma?.[i] ?? 1) + (beta?.[i] ?? 0),
    );
  });
}

describe('layerNorm', () => {
  it.each([
    [1, 1],
    [1, 3],
    [3, 17],
    [35, 512],
    [197, 768],
    [257, 33],
  ])('of %i rows of %i equals the formula', async (rows, width) => {
    const gpu = await sharedGpu();
    const x = randoms(rows * width, 1).map((value) => 3 * value + 5); // far from zero: the variance must not cancel
    const [gamma, beta] = [randoms(width, 2), randoms(width, 3)];
    const input = Tensor.from(gpu, x, [rows, width]);
    const affine = layerNorm(input, Tensor.from(gpu, gamma), Tensor.from(gpu, beta));
    expect(maxError(await affine.read(), expected(x, width, gamma, beta))).toBeLessThan(1e-5);
    const plain = layerNorm(input, null, null);
    const want = expected(x, width);
    if (width > 1) expect(maxError(await plain.read(), want)).toBeLessThan(1e-5);
    else expect(await plain.read()).toEqual(new Float32Array(rows));
  });

  it('has the right gradients', async () => {
    const gpu = await sharedGpu();
    const inputs = [
      Tensor.from(gpu, randoms(5 * 19, 4), [5, 19]),
      Tensor.from(gpu, randoms(19, 5)),
      Tensor.from(gpu, randoms(19, 6)),
    ];
    await gradcheck((x, gamma, beta) => layerNorm(x!, gamma!, beta!), inputs, { tolerance: 5e-3 });
    await gradcheck((x) => layerNorm(x!, null, null), inputs.slice(0, 1), { tolerance: 5e-3 });
  });
});
