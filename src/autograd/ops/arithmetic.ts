import { elementCount } from '../../common/shape.ts';
import { type BinaryOperation, binary, scaleBy } from '../../kernels/elementwise.ts';
import { columnSum, reduceAll } from '../../kernels/rows/reduce.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** a (op) b in the shape of the one that does not repeat. */
function combine(operation: BinaryOperation, a: Tensor, b: Tensor): Tensor {
  const out = Tensor.empty(a.gpu, widest(a.shape, b.shape));
  binary(a.gpu, operation, a.buffer, b.buffer, out.buffer, out.size, {
    aPeriod: a.size,
    bPeriod: b.size,
  });
  return out;
}

function widest(a: readonly number[], b: readonly number[]): readonly number[] {
  const [sizeA, sizeB] = [elementCount(a), elementCount(b)];
  return sizeA > sizeB || (sizeA === sizeB && a.length >= b.length) ? a : b;
}

/** factor · the gradient of an operand of `shape`: dy itself, or its sum over the repetitions. */
function collapse(dy: Tensor, shape: readonly number[], factor = 1): Tensor {
  const size = elementCount(shape);
  if (size === dy.size) return factor === 1 ? dy.view(shape) : scaled(dy.view(shape), factor);
  const out = Tensor.empty(dy.gpu, shape);
  const options = { x: dy.buffer, out: out.buffer, factor };
  if (size === 1) reduceAll(dy.gpu, { size: dy.size, ...options });
  else columnSum(dy.gpu, { rows: dy.size / size, width: size, ...options });
  return out;
}

type Operands = [a: Tensor, b: Tensor];

const additive = (name: 'add' | 'subtract', sign: 1 | -1): Op<{ inputs: Operands }> => ({
  name,
  forward: ([a, b]) => combine(name, a, b),
  gradient: (dy, { needs, shapes: [a, b] }) => [
    needs[0] ? collapse(dy, a) : null,
    needs[1] ? collapse(dy, b, sign) : null,
  ],
});

const addOp = additive('add', 1);
const subtractOp = additive('subtract', -1);

const multiplyOp: Op<{ inputs: Operands; saved: { a: Tensor | null; b: Tensor | null } }> = {
  name: 'multiply',
  forward([a, b], { needs, save }) {
    // Each operand's gradient reads the other one.
    save({ a: needs[1] ? a : null, b: needs[0] ? b : null });
    return combine('multiply', a, b);
  },
  gradient: (dy, { saved: { a, b }, shapes }) => [
    b && collapse(combine('multiply', dy, b), shapes[0]),
    a && collapse(combine('multiply', dy, a), shapes[1]),
  ],
};

const divideOp: Op<{ inputs: Operands; saved: { y: Tensor | null; b: Tensor } }> = {
  name: 'divide',
  forward([a, b], { needs, save }) {
    const y = combine('divide', a, b);
    save({ y: needs[1] ? y : null, b });
    return y;
  },
  // d(a/b) = da/b - (a/b)·db/b
  gradient(dy, { saved: { y, b }, needs, shapes }) {
    const byA = combine('divide', dy, b);
    return [
      needs[0] ? collapse(byA, shapes[0]) : null,
      y && collapse(combine('multiply', byA, y), shapes[1], -1),
    ];
  },
};

/** Whether the one shape, but for axes of 1 before it, ends the other: it then repeats to it. */
function repeats(small: readonly number[], large: readonly number[]): boolean {
  const first = small.findIndex((n) => n !== 1);
  const core = first < 0 ? [] : small.slice(first);
  return core.length <= large.length && core.join() === large.slice(large.length - core.length).join();
}

const operation = (op: Op<{ inputs: Operands }>) => (a: Tensor, b: Tensor) => {
  const whole = widest(a.shape, b.shape);
  for (const { shape } of [a, b])
    if (!repeats(shape, whole))
      throw new Error(`[${shape.join(', ')}] does not broadcast to [${whole.join(', ')}]`);
  return apply(op, [a, b]);
};

/** a + b; the smaller may be a trailing part of the other's shape (a row added to every row), or one number. */
export const add = operation(addOp);
/** a - b; either may repeat, as in {@link add}. */
export const subtract = operation(subtractOp);
/** a · b, elementwise; either may repeat, as in {@link add}. */
export const multiply = operation(multiplyOp);
/** a / b, elementwise; either may repeat, as in {@link add}. */
export const divide = operation(divideOp);

const scaleOp: Op<{ inputs: [x: Tensor]; attributes: { factor: number } }> = {
  name: 'scale',
  forward: ([x], { attributes: { factor } }) => scaled(x, factor),
  gradient: (dy, { attributes: { factor } }) => [scaled(dy, factor)],
};

function scaled(x: Tensor, factor: number): Tensor {
  const out = Tensor.empty(x.gpu, x.shape);
  scaleBy(x.gpu, x.buffer, out.buffer, x.size, factor);
  return out;
}

/** factor · x */
export function scale(x: Tensor, factor: number): Tensor {
  return apply(scaleOp, [x], { factor });
}
