import { softmaxDx, softmax as softmaxForward } from '../../kernels/rows/softmax.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const softmaxOp: Op<{ readonly log: boolean }> = {
  name: 'softmax',
  forward([x], { log }, { save }) {
    const y = Tensor.empty(x!.gpu, x!.shape);
    const width = x!.dim(-1);
    softmaxForward(x!.gpu, x!.buffer, y.buffer, x!.size / width, width, { log });
    save(y);
    return y;
  },
  gradient(dy, { saved: [y], attributes: { log } }) {
    const dx = Tensor.empty(dy.gpu, dy.shape);
    const width = dy.dim(-1);
    softmaxDx(dy.gpu, y!.buffer, dy.buffer, dx.buffer, dy.size / width, width, { log });
    return [dx];
  },
};

/** exp(x) / sum exp(x) over the last axis. */
export function softmax(x: Tensor): Tensor {
  return apply(softmaxOp, [x], { log: false });
}

/** The logarithm of the softmax over the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  return apply(softmaxOp, [x], { log: true });
}
