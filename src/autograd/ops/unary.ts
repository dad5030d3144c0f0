import { type UnaryName, unary, unaryBackward } from '../../kernels/unary.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** The op `name`, which computes the function `kind` of kernels/unary.ts. */
function elementwise(name: string, kind: UnaryName): (x: Tensor) => Tensor {
  const op: Op<{ inputs: [x: Tensor]; saved: { x: Tensor } }> = {
    name,
    forward([x], { save }) {
      save({ x });
      const y = Tensor.empty(x.gpu, x.shape);
      unary(x.gpu, kind, x.buffer, y.buffer, x.size);
      return y;
    },
    gradient(dy, { saved: { x } }) {
      const dx = Tensor.empty(dy.gpu, dy.shape);
      unaryBackward(dy.gpu, kind, { x: x.buffer, dy: dy.buffer, dx: dx.buffer, size: dx.size });
      return [dx];
    },
  };
  return (x) => apply(op, [x]);
}

/** max(x, 0) */
export const relu = elementwise('relu', 'relu');
/** x · σ(1.702 x), the activation of OpenAI's CLIP. */
export const quickGelu = elementwise('quickGelu', 'quick_gelu');
/** x · Φ(x), exact (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = elementwise('gelu', 'gelu');
/** Hyperbolic tangent. */
export const tanh = elementwise('tanh', 'tanh');
/** e to the power of x. */
export const exp = elementwise('exp', 'exp');
/** Natural logarithm. */
export const log = elementwise('log', 'log');
/** Logistic function, 1 / (1 + e^-x). */
export const sigmoid = elementwise('sigmoid', 'sigmoid');
/** Square root. Its gradient at 0 is taken to be 0. */
export const sqrt = elementwise('sqrt', 'sqrt');
