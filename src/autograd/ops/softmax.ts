import { softmaxBackward, softmax as softmaxForward } from '../../kernels/rows/softmax.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { runRows } from './run-rows.ts';

/** Both gradients are read off the output alone. */
function softmaxOp(name: string, constants: { readonly LOG: 0 | 1 }): Op<SoftmaxTypes> {
  return {
    name,
    forward([x], { save }) {
      const [y] = runRows(softmaxForward, [x], [x.shape], { constants });
      save({ y });
      return y;
    },
    gradient(dy, { saved: { y } }) {
      return runRows(softmaxBackward, [y, dy], [y.shape], { constants });
    },
  };
}

interface SoftmaxTypes {
  readonly inputs: [x: Tensor];
  readonly saved: { readonly y: Tensor };
}

const plain = softmaxOp('softmax', { LOG: 0 });
const logarithm = softmaxOp('logSoftmax', { LOG: 1 });

/** exp(x) / sum exp(x) over the last axis. */
export function softmax(x: Tensor): Tensor {
  return apply(plain, [x]);
}

/** The logarithm of the softmax over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return apply(logarithm, [x]);
}
