import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { crossEntropy, mseLoss } from '../src/autograd/ops/losses.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { meanSquaredErrorDx } from '../src/kernels/rows/losses.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf, sumOf } from './reference/values.ts';

describe('mseLoss', () => {
  it.each([1, 3, 32, 257])('of %i pairs', async (size) => {
    const gpu = await sharedGpu();
    const [x, t] = [randoms(size, 1), randoms(size, 2)];
    const [loss] = await mseLoss(Tensor.from(gpu, x), Tensor.from(gpu, t)).read();
    expect(loss).toBeCloseTo(sumOf(x.map((value, i) => (value - t[i]!) ** 2)) / size, 5);
  });

  it('has the right gradient, and none for the targets', async () => {
    const gpu = await sharedGpu();
    const target = Tensor.from(gpu, randoms(17, 3));
    await gradcheck((x) => mseLoss(x!, target), [Tensor.from(gpu, randoms(17, 4))], { tolerance: 2e-3 });
  });

  it('writes its gradient up to the last pair, and nothing beyond', async () => {
    const gpu = await sharedGpu();
    const [x, t] = [Tensor.from(gpu, randoms(66, 5)), Tensor.from(gpu, randoms(66, 6))];
    const one = Tensor.from(gpu, [1]);
    for (const size of [1, 3, 63, 64, 65]) {
      const dx = Tensor.from(gpu, new Float32Array(66).fill(9));
      meanSquaredErrorDx(gpu, x.buffer, t.buffer, one.buffer, dx.buffer, size);
      expect((await dx.read()).map((value, i) => (value === 9 ? 0 : i + 1)).filter(Boolean)).toEqual(
        Float32Array.from({ length: size }, (_, i) => i + 1),
      );
    }
  });

  it('refuses lists of different length', async () => {
    const gpu = await sharedGpu();
    expect(() => mseLoss(Tensor.from(gpu, [1]), Tensor.from(gpu, [1, 2]))).toThrow(
      /1 predictions and 2 targets/,
    );
  });
});

describe('crossEntropy', () => {
  it.each([
    [1, 1],
    [3, 6],
    [33, 17],
  ])('of %i rows over %i classes', async (rows, width) => {
    const gpu = await sharedGpu();
    const logits = randoms(rows * width, 5, 20); // large logits: exp must not overflow
    const classes = Uint32Array.from({ length: rows }, (_, row) => (row * 7) % width);
    const [loss] = await crossEntropy(
      Tensor.from(gpu, logits, [rows, width]),
      Tensor.from(gpu, classes),
    ).read();
    const terms = rowsOf(logits, width).map((row, i) => {
      const largest = Math.max(...row);
      return (
        Math.log(sumOf(Array.from(row, (value) => Math.exp(value - largest)))) + largest - row[classes[i]!]!
      );
    });
    expect(loss).toBeCloseTo(sumOf(terms) / rows, 3);
  });

  it('has the right gradient', async () => {
    const gpu = await sharedGpu();
    const classes = Tensor.from(gpu, Uint32Array.of(0, 4, 2));
    await gradcheck((x) => crossEntropy(x!, classes), [Tensor.from(gpu, randoms(15, 6), [3, 5])], {
      tolerance: 5e-3,
    });
  });
});
