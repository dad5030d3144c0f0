import { l2NormalizeBackward, l2Normalize as l2NormalizeForward } from '../../kernels/rows/l2-normalize.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { runRows } from './run-rows.ts';

const l2NormalizeOp: Op<{ inputs: [x: Tensor]; saved: { x: Tensor }; attributes: { eps: number } }> = {
  name: 'l2Normalize',
  forward([x], { attributes: { eps }, save }) {
    const [y] = runRows(l2NormalizeForward, [x], [x.shape], { params: [eps] });
    save({ x });
    return y;
  },
  gradient(dy, { saved: { x }, attributes: { eps } }) {
    return runRows(l2NormalizeBackward, [x, dy], [x.shape], { params: [eps] });
  },
};

/** x / max(|x|, eps) over the last axis; with eps 0, as CLIP has it, a row of zeros gives NaN. */
export function l2Normalize(x: Tensor, eps = 0): Tensor {
  return apply(l2NormalizeOp, [x], { eps });
}
