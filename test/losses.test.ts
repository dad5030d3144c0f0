import { describe, expect, it } from 'vitest';
import { scale } from '../src/autograd/ops/arithmetic.ts';
import { crossEntropy, mseLoss } from '../src/autograd/ops/losses.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { meanSquaredError } from '../src/kernels/rows/losses.ts';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { logSumExp, rowsOf, sumOf } from '../src/reference/rows.ts';
import { checkOp, rowShapes } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const variants = applicableRowVariants(await sharedGpu());

describe('mseLoss', () => {
  it.each([1, 3, 17, 32, 257, 2047, 2048, 2049, 10_007])('of %i pairs, and its gradient', async (size) => {
    const gpu = await sharedGpu();
    const target = randoms(size, 2);
    const targets = Tensor.from(gpu, target);
    await checkOp(
      (x) => mseLoss(x, targets),
      (x) => [sumOf(x.map((value, i) => (value - target[i]!) ** 2)) / size],
      [[size]],
    );
  });

  it('has no gradient for the targets', async () => {
    const gpu = await sharedGpu();
    const [x, targets] = [Tensor.from(gpu, [1, 2]), Tensor.from(gpu, [0, 1])];
    const { gradients } = valueAndGradients(() => mseLoss(x, targets), [x, targets]);
    expect([...gradients.keys()]).toEqual([x]);
  });

  it('writes its gradient up to the last pair, and nothing beyond', async () => {
    const gpu = await sharedGpu();
    const [x, t] = [Tensor.from(gpu, randoms(66, 5)), Tensor.from(gpu, randoms(66, 6))];
    const loss = Tensor.zeros(gpu, [1]);
    for (const size of [1, 3, 63, 64, 65]) {
      const dx = Tensor.from(gpu, new Float32Array(66).fill(9));
      meanSquaredError(gpu, { x: x.buffer, target: t.buffer, loss: loss.buffer, dx: dx.buffer, size });
      expect((await dx.read()).map((value, i) => (value === 9 ? 0 : i + 1)).filter(Boolean)).toEqual(
        Float32Array.from({ length: size }, (_, i) => i + 1),
      );
    }
  });

  it('has its gradient from its own launch, scaled where it is part of another value', async () => {
    const gpu = await sharedGpu();
    const [x, t] = [Tensor.from(gpu, randoms(35, 5)), Tensor.from(gpu, randoms(35, 6))];
    const kernels: string[] = [];
    gpu.tracer = { dispatch: (kernel) => void kernels.push(kernel) };
    const { gradients } = valueAndGradients(() => mseLoss(x, t), [x]);
    gpu.tracer = undefined;
    expect(kernels.length).toBe(1);
    const twice = valueAndGradients(() => scale(mseLoss(x, t), 2), [x]).gradients;
    const own = await gradients.get(x)!.read();
    const [a, b] = [await x.read(), await t.read()];
    expect(
      maxError(
        own,
        a.map((value, i) => (2 / 35) * (value - b[i]!)),
      ),
    ).toBeLessThan(1e-6);
    expect(await twice.get(x)!.read()).toEqual(own.map((value) => 2 * value));
  });

  it('refuses lists of different length', async () => {
    const gpu = await sharedGpu();
    expect(() => mseLoss(Tensor.from(gpu, [1]), Tensor.from(gpu, [1, 2]))).toThrow(
      /1 predictions and 2 targets/,
    );
  });
});

describe('crossEntropy', () => {
  it.each([[1, 2], ...rowShapes] as const)(
    'of %i rows over %i classes, and its gradient',
    async (rows, width) => {
      const gpu = await sharedGpu();
      const classes = Uint32Array.from({ length: rows }, (_, row) => (row * 7 + 4) % width);
      const targets = Tensor.from(gpu, classes);
      // Small logits, and such that exp must not overflow.
      for (const scale of [1, 20])
        await checkOp(
          (x) => crossEntropy(x, targets),
          (x) => [sumOf(rowsOf(x, width).map((row, i) => logSumExp(row) - row[classes[i]!]!)) / rows],
          [[rows, width]],
          { values: (count) => randoms(count, 5, scale) },
        );
    },
  );

  it.each(variants)('over one class is nothing, by variant %s', async (variant) => {
    const gpu = await sharedGpu();
    const [x, classes] = [Tensor.from(gpu, [20], [1, 1]), Tensor.from(gpu, Uint32Array.of(0))];
    const loss = withRowVariant(variant, () => crossEntropy(x, classes));
    expect(await loss.read()).toEqual(Float32Array.of(0));
  });
});
