import { binary } from '../../kernels/elementwise.ts';
import {
  crossEntropyBackward,
  crossEntropy as crossEntropyForward,
  meanSquaredError,
} from '../../kernels/rows/losses.ts';
import { UnitGradient } from '../deferred.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const mseLossOp: Op<{
  inputs: [prediction: Tensor, target: Tensor];
  /** The gradient where the loss's own is 1. */
  saved: { gradient: Tensor };
}> = {
  name: 'mseLoss',
  forward([prediction, target], { needs, save }) {
    const { gpu, size, shape } = prediction;
    const loss = Tensor.empty(gpu, [1]);
    const gradient = needs[0] ? Tensor.empty(gpu, shape) : null;
    meanSquaredError(gpu, {
      x: prediction.buffer,
      target: target.buffer,
      loss: loss.buffer,
      dx: gradient?.buffer ?? null,
      size,
    });
    if (gradient) save({ gradient });
    gradient?.dispose();
    return loss;
  },
  gradient(dy, { saved: { gradient }, needs }) {
    if (!needs[0]) return [null, null];
    if (dy.pending instanceof UnitGradient) return [gradient.view(), null];
    const { gpu, size } = gradient;
    const dx = Tensor.empty(gpu, gradient.shape);
    binary(gpu, 'multiply', gradient.buffer, dy.buffer, dx.buffer, size, { bPeriod: 1 });
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
