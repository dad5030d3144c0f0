import { type ActivationName, activation, activationGradient } from '../../kernels/activation.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const activationOp: Op<ActivationName> = {
  name: 'activation',
  forward([x], name, { save }) {
    save(x!);
    const y = Tensor.empty(x!.gpu, x!.shape);
    activation(x!.gpu, name, x!.buffer, y.buffer, x!.size);
    return y;
  },
  gradient(dy, { saved: [x], attributes: name }) {
    const dx = Tensor.empty(dy.gpu, dy.shape);
    activationGradient(dy.gpu, name, x!.buffer, dy.buffer, dx.buffer, dx.size);
    return [dx];
  },
};

const elementwise = (name: ActivationName) => (x: Tensor) => apply(activationOp, [x], name);

/** max(x, 0) */
export const relu = elementwise('relu');
/** x · σ(1.702 x), the activation of OpenAI's CLIP. */
export const quickGelu = elementwise('quick_gelu');
/** x · Φ(x), exact (Hendrycks and Gimpel, arXiv 1606.08415). */
export const gelu = elementwise('gelu');
/** Hyperbolic tangent. */
export const tanh = elementwise('tanh');
/** e to the power of x. */
export const exp = elementwise('exp');
/** Natural logarithm. */
export const log = elementwise('log');
/** Square root. */
export const sqrt = elementwise('sqrt');
