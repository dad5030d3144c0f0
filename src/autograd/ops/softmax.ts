import { softmaxBackward, softmax as softmaxForward } from '../../kernels/rows/softmax.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

/** Both gradients are read off the output alone. */
function softmaxOp(name: string, options: { readonly log: boolean }): Op<SoftmaxTypes> {
  return {
    name,
    forward([x], { save }) {
      const y = Tensor.empty(x.gpu, x.shape);
      const width = x.dim(-1);
      softmaxForward(x.gpu, { x: x.buffer, y: y.buffer, rows: x.size / width, width, ...options });
      save({ y });
      return y;
    },
    gradient(dy, { saved: { y } }) {
      const dx = Tensor.empty(dy.gpu, dy.shape);
      const width = dy.dim(-1);
      const tensors = { y: y.buffer, dy: dy.buffer, dx: dx.buffer };
      softmaxBackward(dy.gpu, { ...tensors, rows: dy.size / width, width, ...options });
      return [dx];
    },
  };
}

interface SoftmaxTypes {
  readonly inputs: [x: Tensor];
  readonly saved: { readonly y: Tensor };
}

const plain = softmaxOp('softmax', { log: false });
const logarithm = softmaxOp('logSoftmax', { log: true });

/** exp(x) / sum exp(x) over the last axis. */
export function softmax(x: Tensor): Tensor {
  return apply(plain, [x]);
}

/** The logarithm of the softmax over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return apply(logarithm, [x]);
}
