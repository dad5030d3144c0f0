import { type BinaryOperation, binary, scaleBy } from '../../kernels/elementwise.ts';
import { reduceAll, sumRows } from '../../kernels/reduce.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** One of the operands repeats: b is a trailing part of a's shape (a row added to every row), or one number. */
function combine(operation: BinaryOperation, a: Tensor, b: Tensor): Tensor {
  const out = Tensor.empty(a.gpu, a.shape);
  binary(a.gpu, operation, a.buffer, b.buffer, out.buffer, a.size, a.size, b.size);
  return out;
}

/** The gradient of a repeated operand: the sum over its repetitions. */
function collapse(dy: Tensor, shape: readonly number[], factor = 1): Tensor {
  const out = Tensor.empty(dy.gpu, shape);
  if (out.size === 1) reduceAll(dy.gpu, dy.buffer, out.buffer, dy.size, { factor });
  else sumRows(dy.gpu, dy.buffer, out.buffer, dy.size / out.size, out.size, factor);
  return out;
}

function checked(a: Tensor, b: Tensor): readonly Tensor[] {
  const trailing = a.shape.slice(a.shape.length - b.shape.length).join() === b.shape.join();
  if (!trailing && b.size !== 1)
    throw new Error(`[${b.shape.join(', ')}] does not repeat to [${a.shape.join(', ')}]`);
  return [a, b];
}

interface Shapes {
  readonly b: readonly number[];
  readonly repeats: boolean;
}

const additive = (name: 'add' | 'subtract', sign: 1 | -1): Op<Shapes> => ({
  name,
  forward: ([a, b]) => combine(name, a!, b!),
  gradient(dy, { needs, attributes: { b, repeats } }) {
    if (!needs[1]) return [dy, null];
    return [dy, sign === 1 && !repeats ? dy : collapse(dy, b, sign)];
  },
});

const addOp = additive('add', 1);
const subtractOp = additive('subtract', -1);

const multiplyOp: Op<Shapes> = {
  name: 'multiply',
  forward([a, b], _attributes, { save }) {
    save(a!, b!);
    return combine('multiply', a!, b!);
  },
  gradient(dy, { saved: [a, b], needs, attributes: { b: shape, repeats } }) {
    const byB = () => {
      const product = combine('multiply', dy, a!);
      return repeats ? collapse(product, shape) : product;
    };
    return [needs[0] ? combine('multiply', dy, b!) : null, needs[1] ? byB() : null];
  },
};

const divideOp: Op<Shapes> = {
  name: 'divide',
  forward([a, b], _attributes, { save }) {
    const y = combine('divide', a!, b!);
    save(y, b!);
    return y;
  },
  // d(a/b) = da/b - (a/b)·db/b
  gradient(dy, { saved: [y, b], needs, attributes: { b: shape } }) {
    const byA = combine('divide', dy, b!);
    const byB = () => collapse(combine('multiply', byA, y!), shape, -1);
    return [needs[0] ? byA : null, needs[1] ? byB() : null];
  },
};

const operation = (op: Op<Shapes>) => (a: Tensor, b: Tensor) =>
  apply(op, checked(a, b), { b: b.shape, repeats: a.size !== b.size });

/** a + b; b may be a trailing part of a's shape, or one number, and then repeats. */
export const add = operation(addOp);
/** a - b; b may repeat. */
export const subtract = operation(subtractOp);
/** a · b, elementwise; b may repeat. */
export const multiply = operation(multiplyOp);
/** a / b, elementwise; b may repeat. */
export const divide = operation(divideOp);

const scaleOp: Op<{ readonly factor: number }> = {
  name: 'scale',
  forward: ([x], { factor }) => scaled(x!, factor),
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
