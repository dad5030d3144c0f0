import { fidelity, gradedResponse, normInNorm, plcc, type RowLoss } from '../../kernels/rows/row-losses.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

type RowLossOp = Op<{ inputs: [x: Tensor, target: Tensor]; saved: { x: Tensor; target: Tensor } }>;

function rowLossOp(name: string, loss: RowLoss, targets: 'f32' | 'u32' = 'f32'): RowLossOp {
  return {
    name,
    types: [['f32'], [targets]],
    forward([x, target], { save }) {
      const width = x.dim(-1);
      const mean = Tensor.empty(x.gpu, [1]);
      loss.forward(x.gpu, {
        x: x.buffer,
        target: target.buffer,
        loss: mean.buffer,
        rows: x.size / width,
        width,
      });
      save({ x, target });
      return mean;
    },
    gradient(dy, { saved: { x, target } }) {
      const dx = Tensor.empty(dy.gpu, x.shape);
      const width = x.dim(-1);
      loss.backward(dy.gpu, {
        x: x.buffer,
        target: target.buffer,
        dloss: dy.buffer,
        dx: dx.buffer,
        rows: x.size / width,
        width,
      });
      return [dx, null];
    },
  };
}

/** A loss of numbers along the last axis and their targets, [1], the mean over rows. */
function ofRows(op: RowLossOp): (prediction: Tensor, target: Tensor) => Tensor {
  return (prediction, target) => {
    const [shape, targets] = [prediction, target].map((tensor) => tensor.shape.join(', '));
    if (shape !== targets) throw new Error(`${op.name} of predictions [${shape}] and targets [${targets}]`);
    return apply(op, [prediction, target]);
  };
}

/**
 * 1 - PLCC: how far from linear predictions and targets are along the last axis, a batch, as a rule; [1], the mean over rows where there are
 * several. Neither unit nor offset of the predictions matters, so that another loss has to set those, such as {@link mseLoss}. Equal predictions have loss 1 and no gradient; targets get none.
 */
export const plccLoss = ofRows(rowLossOp('plccLoss', plcc));

/**
 * Norm-in-norm loss (Li, Jiang and Jiang, ACM MM 2020, arXiv 2008.03889) along the last axis with q = 2, p = 1: the mean distance of predictions
 * and targets, both without mean and of unit length, from 0 to 1. Otherwise as {@link plccLoss}.
 */
export const normInNormLoss = ofRows(rowLossOp('normInNormLoss', normInNorm));

/**
 * Fidelity loss (Tsai et al., SIGIR 2007; of image quality Zhang et al., arXiv 2102.07356 and 2303.14968), mean over all pairs along the last axis: 1 - √(p p̂) - √((1 - p)(1 - p̂)),
 * with p̂ = Φ((x_i - x_j) / √2), and p 1, 0 or, of equals, 1/2, as the targets are ordered. Of the targets only their order matters; they get no
 * gradient.
 */
export const fidelityLoss = ofRows(rowLossOp('fidelityLoss', fidelity));

const gradedResponseOp = rowLossOp('gradedResponseLoss', gradedResponse, 'u32');

/**
 * Negative log-likelihood of grades by Samejima's graded response model (1969), [1], mean over rows: P(grade k) = σ(x[k - 1]) - σ(x[k]).
 *
 * @param logits [rows, grades - 1], of reaching each grade but the lowest; strictly falling along a row
 * @param grades u32 [rows], from 0
 */
export function gradedResponseLoss(logits: Tensor, grades: Tensor): Tensor {
  if (logits.shape.length !== 2 || grades.size !== logits.dim(0))
    throw new Error(`gradedResponseLoss of logits [${logits.shape.join(', ')}] and ${grades.size} grades`);
  return apply(gradedResponseOp, [logits, grades]);
}
