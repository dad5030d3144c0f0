import { binary } from '../../kernels/elementwise.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const addOp: Op<null> = {
  name: 'add',
  forward([a, b]) {
    const out = Tensor.empty(a!.gpu, a!.shape);
    binary(a!.gpu, 'add', a!.buffer, b!.buffer, out.buffer, out.size);
    return out;
  },
  gradient: (dy) => [dy, dy],
};

/** a + b, elementwise, for tensors of one shape. */
export function add(a: Tensor, b: Tensor): Tensor {
  return apply(addOp, [a, b], null);
}
