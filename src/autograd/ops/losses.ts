import {
  crossEntropyDx,
  crossEntropy as crossEntropyForward,
  meanSquaredError,
  meanSquaredErrorDx,
} from '../../kernels/rows/losses.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const mseOp: Op<null> = {
  name: 'mseLoss',
  forward([x, target], _attributes, { save }) {
    const loss = Tensor.empty(x!.gpu, [1]);
    meanSquaredError(x!.gpu, x!.buffer, target!.buffer, loss.buffer, x!.size);
    save(x!, target!);
    return loss;
  },
  gradient(dy, { saved: [x, target] }) {
    const dx = Tensor.empty(dy.gpu, x!.shape);
    meanSquaredErrorDx(dy.gpu, x!.buffer, target!.buffer, dy.buffer, dx.buffer, dx.size);
    return [dx, null];
  },
};

/** Mean of (prediction - target)², [1]; targets get no gradient. */
export function mseLoss(prediction: Tensor, target: Tensor): Tensor {
  if (prediction.size !== target.size)
    throw new Error(`mseLoss of ${prediction.size} predictions and ${target.size} targets`);
  return apply(mseOp, [prediction, target], null);
}

const crossEntropyOp: Op<null> = {
  name: 'crossEntropy',
  types: [['f32'], ['u32']],
  forward([logits, classes], _attributes, { save }) {
    const [rows, width] = logits!.shape as [number, number];
    const loss = Tensor.empty(logits!.gpu, [1]);
    crossEntropyForward(logits!.gpu, logits!.buffer, classes!.buffer, loss.buffer, rows, width);
    save(logits!, classes!);
    return loss;
  },
  gradient(dy, { saved: [logits, classes] }) {
    const [rows, width] = logits!.shape as [number, number];
    const dx = Tensor.empty(dy.gpu, logits!.shape);
    crossEntropyDx(dy.gpu, logits!.buffer, classes!.buffer, dy.buffer, dx.buffer, rows, width);
    return [dx, null];
  },
};

/** Mean over rows of -log softmax(logits)[row, class], [1]; logits [rows, classes], classes u32 [rows]. */
export function crossEntropy(logits: Tensor, classes: Tensor): Tensor {
  if (logits.shape.length !== 2 || classes.size !== logits.dim(0))
    throw new Error(`crossEntropy of logits [${logits.shape.join(', ')}] and ${classes.size} classes`);
  return apply(crossEntropyOp, [logits, classes], null);
}
