import {
  crossEntropyBackward,
  crossEntropy as crossEntropyForward,
  meanSquaredError,
  meanSquaredErrorBackward,
} from '../../kernels/rows/losses.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const mseLossOp: Op<{
  inputs: [prediction: Tensor, target: Tensor];
  saved: { prediction: Tensor; target: Tensor };
}> = {
  name: 'mseLoss',
  forward([prediction, target], { save }) {
    const { gpu, size } = prediction;
    const loss = Tensor.empty(gpu, [1]);
    meanSquaredError(gpu, { x: prediction.buffer, target: target.buffer, loss: loss.buffer, size });
    save({ prediction, target });
    return loss;
  },
  gradient(dy, { saved: { prediction, target } }) {
    const dx = Tensor.empty(dy.gpu, prediction.shape);
    meanSquaredErrorBackward(dy.gpu, {
      x: prediction.buffer,
      target: target.buffer,
      dloss: dy.buffer,
      dx: dx.buffer,
      size: dx.size,
    });
    return [dx, null];
  },
};

/** Mean of (prediction - target)², [1]; targets get no gradient. */
export function mseLoss(prediction: Tensor, target: Tensor): Tensor {
  if (prediction.size !== target.size)
    throw new Error(`mseLoss of ${prediction.size} predictions and ${target.size} targets`);
  return apply(mseLossOp, [prediction, target]);
}

const crossEntropyOp: Op<{
  inputs: [logits: Tensor, classes: Tensor];
  saved: { logits: Tensor; classes: Tensor };
}> = {
  name: 'crossEntropy',
  types: [['f32'], ['u32']],
  forward([logits, classes], { save }) {
    const [rows, width] = [logits.dim(0), logits.dim(1)];
    const loss = Tensor.empty(logits.gpu, [1]);
    crossEntropyForward(logits.gpu, {
      x: logits.buffer,
      classes: classes.buffer,
      loss: loss.buffer,
      rows,
      width,
    });
    save({ logits, classes });
    return loss;
  },
  gradient(dy, { saved: { logits, classes } }) {
    const [rows, width] = [logits.dim(0), logits.dim(1)];
    const dx = Tensor.empty(dy.gpu, logits.shape);
    crossEntropyBackward(dy.gpu, {
      x: logits.buffer,
      classes: classes.buffer,
      dloss: dy.buffer,
      dx: dx.buffer,
      rows,
      width,
    });
    return [dx, null];
  },
};

/** Mean over rows of -log softmax(logits)[row, class], [1]; logits [rows, classes], classes u32 [rows]. */
export function crossEntropy(logits: Tensor, classes: Tensor): Tensor {
  if (logits.shape.length !== 2 || classes.size !== logits.dim(0))
    throw new Error(`crossEntropy of logits [${logits.shape.join(', ')}] and ${classes.size} classes`);
  return apply(crossEntropyOp, [logits, classes]);
}
