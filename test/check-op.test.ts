import { expect, it } from 'vitest';
import type { Op } from '../src/autograd/op.ts';
import { multiply, scale } from '../src/autograd/ops/arithmetic.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { apply } from '../src/autograd/tape.ts';
import type { Tensor } from '../src/autograd/tensor.ts';
import { checkOp } from './check-op.ts';

type Product = Op<{ inputs: [a: Tensor, b: Tensor]; saved: { a: Tensor | null; b: Tensor | null } }>;

/** a · b, but for what a test breaks in it. */
const product = (broken: Partial<Product> = {}) => {
  const op: Product = {
    name: 'product',
    forward([a, b], { save }) {
      save({ a, b });
      return scope(() => multiply(a, b));
    },
    gradient: (dy, { saved: { a, b }, needs }) => [
      needs[0] && b ? multiply(dy, b) : null,
      needs[1] && a ? multiply(dy, a) : null,
    ],
    ...broken,
  };
  return (a: Tensor, b: Tensor) => apply(op, [a, b]);
};

const check = (op: (a: Tensor, b: Tensor) => Tensor) =>
  checkOp(op, (a, b) => a.map((value, i) => value * b[i]!), [[30], [30]]);

it('a right op passes', () => check(product()));

it('notices a wrong result', () =>
  expect(check((a, b) => scale(multiply(a, b), 1.00001))).rejects.toThrow(/result: expected .* to be less/));

it('notices a gradient that is off by a ten-thousandth, of the wrong sign, of the wrong tensor or missing', async () => {
  const gradients: Product['gradient'][] = [
    (dy, { saved: { a, b } }) => [multiply(dy, b!), scale(multiply(dy, a!), 1.0001)],
    (dy, { saved: { a, b } }) => [multiply(dy, b!), scale(multiply(dy, a!), -1)],
    (dy, { saved: { b } }) => [multiply(dy, b!), multiply(dy, b!)],
    (dy, { saved: { b } }) => [multiply(dy, b!), null],
  ];
  for (const gradient of gradients)
    await expect(check(product({ gradient }))).rejects.toThrow(/gradient by input 1/);
});

it('notices a tensor that is saved only where all inputs learn', () =>
  expect(
    check(
      product({
        forward([a, b], { save, needs }) {
          const both = needs[0] && needs[1];
          save({ a: both ? a : null, b: both ? b : null });
          return scope(() => multiply(a, b));
        },
      }),
    ),
  ).rejects.toThrow(/gradient by input 0/));

it('notices a tensor that is not freed', () =>
  expect(
    check(
      product({
        forward([a, b], { save }) {
          save({ a, b });
          keep(multiply(a, a));
          return scope(() => multiply(a, b));
        },
      }),
    ),
  ).rejects.toThrow(/buffers in use/));
