import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { add, divide, multiply, scale, subtract } from '../src/autograd/ops/arithmetic.ts';
import { mean, sum } from '../src/autograd/ops/reduce.ts';
import { exp, gelu, log, quickGelu, relu, sqrt, tanh } from '../src/autograd/ops/unary.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf, sumOf } from './reference/values.ts';

const operations = { add, subtract, multiply, divide };
const formulas: Record<keyof typeof operations, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
};

/** Away from zero, so that quotients and logarithms are tame. */
const positive = (count: number, stream: number) => randoms(count, stream).map((x) => 0.5 + Math.abs(x));

describe.each(Object.keys(operations) as (keyof typeof operations)[])('%s', (name) => {
  it.each([
    ['equal shapes', [3, 17], [3, 17]],
    ['a row repeated', [5, 257], [257]],
    ['a number', [197], [1]],
    ['a matrix repeated', [2, 3, 5], [3, 5]],
    ['a first operand that repeats', [257], [5, 257]],
    ['a number before a matrix', [1], [3, 17]],
    ['a row with axes of one before it', [1, 1, 5], [2, 3, 5]],
  ])('of %s', async (_, shapeA, shapeB) => {
    const gpu = await sharedGpu();
    const [a, b] = [shapeA, shapeB].map((shape, i) =>
      positive(
        shape.reduce((x, y) => x * y),
        i + 1,
      ),
    ) as [Float32Array, Float32Array];
    const y = operations[name](Tensor.from(gpu, a, shapeA), Tensor.from(gpu, b, shapeB));
    expect(
      maxError(
        await y.read(),
        Float32Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
          formulas[name](a[i % a.length]!, b[i % b.length]!),
        ),
      ),
    ).toBeLessThan(1e-6);
  });

  it('has the right gradients', async () => {
    const gpu = await sharedGpu();
    const shapes = [[4, 6], [6], [1], [1, 1, 6]];
    const pairs = shapes.flatMap((small) => [
      [[4, 6], small],
      [small, [4, 6]],
    ]);
    for (const pair of pairs) {
      const inputs = pair.map((shape, i) =>
        Tensor.from(
          gpu,
          positive(
            shape.reduce((x, y) => x * y),
            3 + i,
          ),
          shape,
        ),
      );
      await gradcheck((a, b) => operations[name](a!, b!), inputs, { tolerance: 5e-3 });
    }
  });
});

it('refuses shapes that do not repeat', async () => {
  const gpu = await sharedGpu();
  expect(() => add(Tensor.zeros(gpu, [4, 6]), Tensor.zeros(gpu, [4]))).toThrow(
    /\[4\] does not broadcast to \[4, 6\]/,
  );
  expect(() => multiply(Tensor.zeros(gpu, [4, 1]), Tensor.zeros(gpu, [4, 6]))).toThrow(
    /\[4, 1\] does not broadcast to \[4, 6\]/,
  );
});

it('scales', async () => {
  const gpu = await sharedGpu();
  const x = Tensor.from(gpu, [1, -2, 3]);
  expect(await scale(x, -0.5).read()).toEqual(Float32Array.of(-0.5, 1, -1.5));
  await gradcheck((a) => scale(a!, 3), [x], { tolerance: 2e-3 });
});

/** erf by its Maclaurin series, in float64: independent of the kernel's approximation. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let k = 1; k < 200; k++) {
    term *= (-x * x) / k;
    total += term / (2 * k + 1);
  }
  return Math.abs(x) > 5 ? Math.sign(x) : (2 / Math.sqrt(Math.PI)) * total;
}

describe('activations', () => {
  it.each([
    ['relu', relu, (x: number) => Math.max(x, 0)],
    ['quickGelu', quickGelu, (x: number) => x / (1 + Math.exp(-1.702 * x))],
    ['gelu', gelu, (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2))],
    ['tanh', tanh, Math.tanh],
    ['exp', exp, Math.exp],
  ] as const)('%s from -6 to 6, and its gradient', async (_, op, formula) => {
    const gpu = await sharedGpu();
    const x = Float32Array.from({ length: 257 }, (__, i) => (i - 128) / 21);
    expect(maxError(await op(Tensor.from(gpu, x)).read(), x.map(formula))).toBeLessThan(1e-6);
    // 0.05 off the kink of relu, which a finite difference would straddle.
    await gradcheck(
      (a) => op(a!),
      [
        Tensor.from(
          gpu,
          randoms(24, 7).map((v) => v + 0.05 * Math.sign(v)),
        ),
      ],
      { tolerance: 1e-2 },
    );
  });

  it.each([
    ['log', log, Math.log],
    ['sqrt', sqrt, Math.sqrt],
  ] as const)('%s of positive numbers, and its gradient', async (_, op, formula) => {
    const gpu = await sharedGpu();
    const x = positive(197, 8);
    expect(maxError(await op(Tensor.from(gpu, x)).read(), x.map(formula))).toBeLessThan(1e-6);
    await gradcheck((a) => op(a!), [Tensor.from(gpu, positive(24, 9))], { tolerance: 1e-2 });
  });
});

describe('sum and mean', () => {
  it.each([1, 3, 17, 197, 257, 4096, 100_003])('of %i numbers', async (size) => {
    const gpu = await sharedGpu();
    const x = positive(size, 10);
    expect(maxError(await sum(Tensor.from(gpu, x)).read(), [sumOf(x)])).toBeLessThan(1e-5);
    expect(maxError(await mean(Tensor.from(gpu, x)).read(), [sumOf(x) / size])).toBeLessThan(1e-5);
  });

  it('over the first and the last axis', async () => {
    const gpu = await sharedGpu();
    const x = randoms(35 * 33, 11);
    const rows = rowsOf(x, 33);
    const columns = Array.from({ length: 33 }, (_, c) => sumOf(rows.map((row) => row[c]!)));
    expect(maxError(await sum(Tensor.from(gpu, x, [35, 33]), 0).read(), columns)).toBeLessThan(1e-5);
    expect(
      maxError(
        await mean(Tensor.from(gpu, x, [35, 33]), -1).read(),
        rows.map((row) => sumOf(row) / 33),
      ),
    ).toBeLessThan(1e-5);
  });

  it('have the right gradients', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(20, 12), [4, 5]);
    for (const axis of [undefined, 0, -1]) await gradcheck((a) => mean(a!, axis), [x], { tolerance: 5e-3 });
  });
});
