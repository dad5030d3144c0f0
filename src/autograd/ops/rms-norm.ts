import { rmsNormBackward, rmsNorm as rmsNormForward } from '../../kernels/rows/rms-norm.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { sum } from './reduce.ts';
import { runRows } from './run-rows.ts';

type RmsNorm = {
  inputs: [x: Tensor, gamma: Tensor];
  saved: { x: Tensor; gamma: Tensor };
  attributes: number;
};

const rmsNormOp: Op<RmsNorm> = {
  name: 'rmsNorm',
  forward([x, gamma], { attributes: eps, save }) {
    save({ x, gamma });
    return runRows(rmsNormForward, [x, gamma], [x.shape], { params: [eps] })[0];
  },
  gradient(dy, { saved: { x, gamma }, needs, attributes: eps }) {
    const rows = [x.size / gamma.size, gamma.size];
    const [dx, terms] = runRows(rmsNormBackward, [x, gamma, dy], [x.shape, rows], { params: [eps] });
    return [dx, needs[1] ? sum(terms, 0) : null];
  },
};

/** x / sqrt(mean(x²) + eps) · gamma over the last axis, with gamma [width] and, by default, eps as in torch's rms_norm. */
export function rmsNorm(x: Tensor, gamma: Tensor, eps = 2 ** -23): Tensor {
  if (gamma.size !== x.dim(-1))
    throw new Error(`rmsNorm of [${x.shape.join(', ')}] by [${gamma.shape.join(', ')}]`);
  return apply(rmsNormOp, [x, gamma], eps);
}
