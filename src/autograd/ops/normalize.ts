import { l2NormalizeBackward, l2Normalize as l2NormalizeForward } from '../../kernels/rows/l2-normalize.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const l2NormalizeOp: Op<{ inputs: [x: Tensor]; saved: { x: Tensor }; attributes: { eps: number } }> = {
  name: 'l2Normalize',
  forward([x], { attributes: { eps }, save }) {
    const y = Tensor.empty(x.gpu, x.shape);
    const width = x.dim(-1);
    l2NormalizeForward(x.gpu, { x: x.buffer, y: y.buffer, rows: x.size / width, width, eps });
    save({ x });
    return y;
  },
  gradient(dy, { saved: { x }, attributes: { eps } }) {
    const dx = Tensor.empty(x.gpu, x.shape);
    const width = x.dim(-1);
    const tensors = { x: x.buffer, dy: dy.buffer, dx: dx.buffer };
    l2NormalizeBackward(x.gpu, { ...tensors, rows: x.size / width, width, eps });
    return [dx];
  },
};

/** x / max(|x|, eps) over the last axis; with eps 0, as CLIP has it, a row of zeros gives NaN. */
export function l2Normalize(x: Tensor, eps = 0): Tensor {
  return apply(l2NormalizeOp, [x], { eps });
}
