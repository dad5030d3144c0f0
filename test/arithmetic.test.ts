import { describe, expect, it } from 'vitest';
import { add, divide, multiply, scale, subtract } from '../src/autograd/ops/arithmetic.ts';
import { mean, sum } from '../src/autograd/ops/reduce.ts';
import { exp, gelu, log, quickGelu, relu, sigmoid, sqrt, tanh } from '../src/autograd/ops/unary.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { rowsOf, sumOf } from '../src/reference/rows.ts';
import { activate } from '../src/reference/unary.ts';
import { checkOp, rowShapes } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const operations = { add, subtract, multiply, divide };
const formulas: Record<keyof typeof operations, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
};

/** Away from zero, so that quotients and logarithms are tame. */
const positive = (count: number, i: number) => randoms(count, i + 1).map((x) => 0.5 + Math.abs(x));

describe.each(Object.keys(operations) as (keyof typeof operations)[])('%s', (name) => {
  const around = [[4, 6], [6], [1], [1, 1, 6]].flatMap((small) => [
    ['a whole and a part', [4, 6], small] as const,
    ['a part and a whole', small, [4, 6]] as const,
  ]);
  it.each([
    ['equal shapes', [3, 17], [3, 17]],
    ['a row repeated', [5, 257], [257]],
    ['a number', [197], [1]],
    ['a matrix repeated', [2, 3, 5], [3, 5]],
    ['a first operand that repeats', [257], [5, 257]],
    ['a number before a matrix', [1], [3, 17]],
    ['a row with axes of one before it', [1, 1, 5], [2, 3, 5]],
    ...around,
  ] as const)('of %s: %j, %j', (_, shapeA, shapeB) =>
    checkOp(
      operations[name],
      (a, b) =>
        Float64Array.from({ length: Math.max(a.length, b.length) }, (__, i) =>
          formulas[name](a[i % a.length]!, b[i % b.length]!),
        ),
      [shapeA, shapeB],
      { values: positive },
    ),
  );
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
  expect(await scale(Tensor.from(gpu, [1, -2, 3]), -0.5).read()).toEqual(Float32Array.of(-0.5, 1, -1.5));
  await checkOp(
    (x) => scale(x, 3),
    (x) => x.map((value) => 3 * value),
    [[3]],
  );
});

const unary = { relu, quickGelu, gelu, tanh, exp, log, sigmoid, sqrt };

describe('elementwise functions', () => {
  const elementwise = (name: keyof typeof unary, values: (count: number, i: number) => Float32Array) =>
    checkOp(
      unary[name],
      (x) => x.map((value) => activate(name === 'quickGelu' ? 'quick_gelu' : name, value)),
      [[257]],
      { values },
    );

  // Past 0, where relu has a kink.
  it.each(['relu', 'quickGelu', 'gelu', 'tanh', 'exp'] as const)(
    '%s from -6 to 6, and its gradient',
    (name) => elementwise(name, (count) => Float32Array.from({ length: count }, (_, i) => (i - 127.6) / 21)),
  );

  it.each(['log', 'sqrt'] as const)('%s of positive numbers, and its gradient', (name) =>
    elementwise(name, positive),
  );
});

describe('sum and mean', () => {
  it.each([1, 3, 17, 197, 257, 2047, 2048, 2049, 4096, 10_007, 100_003])('of %i numbers', async (size) => {
    const options = { values: positive, forward: 1e-5 };
    await checkOp(
      (x) => sum(x),
      (x) => [sumOf(x)],
      [[size]],
      options,
    );
    await checkOp(
      (x) => mean(x),
      (x) => [sumOf(x) / size],
      [[size]],
      options,
    );
  });

  it.each(rowShapes)('over the last axis of [%i, %i]', async (rows, width) => {
    for (const [reduce, count] of [
      [sum, 1],
      [mean, width],
    ] as const)
      await checkOp(
        (x) => reduce(x, -1),
        (x) => rowsOf(x, width).map((row) => sumOf(row) / count),
        [[rows, width]],
        { forward: 1e-5 },
      );
  });

  it.each([
    [1, 5],
    [4, 5],
    [35, 33],
    [128, 3],
    [129, 40],
    [20_000, 33],
  ])('over the first axis of [%i, %i]', async (rows, width) => {
    const byColumn = (x: Float64Array) => {
      const sums = new Float64Array(width);
      for (const [i, value] of x.entries()) sums[i % width]! += value;
      return sums;
    };
    for (const [reduce, count] of [
      [sum, 1],
      [mean, rows],
    ] as const)
      await checkOp(
        (x) => reduce(x, 0),
        (x) => byColumn(x).map((total) => total / count),
        [[rows, width]],
        { values: positive, forward: 1e-5 },
      );
  });
});
