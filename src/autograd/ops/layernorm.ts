import { mayTakeNorm } from '../../kernels/matmul/index.ts';
import {
  layerNormBackward,
  layerNormBackwardParams,
  layerNorm as layerNormForward,
} from '../../kernels/rows/layernorm.ts';
import { mayDefer } from '../deferred.ts';
import { DeferredNorm, DeferredNormGradient } from '../deferred-norm.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const layerNormOp: Op<{
  inputs: [x: Tensor, gamma: Tensor | null, beta: Tensor | null];
  saved: { x: Tensor; stats: Tensor; gamma: Tensor | null };
  attributes: { eps: number };
}> = {
  name: 'layerNorm',
  forward([x, gamma, beta], { attributes: { eps }, recording, save }) {
    const width = x.dim(-1);
    const rows = x.size / width;
    const stats = recording ? Tensor.empty(x.gpu, [rows, 2]) : null;
    if (stats && gamma && beta && mayDefer() && mayTakeNorm(x.gpu, rows)) {
      const put = new DeferredNorm(x, gamma, beta, stats, eps);
      save({ x, stats, gamma });
      stats.dispose();
      return Tensor.deferred(x.gpu, x.shape, put);
    }
    const y = Tensor.empty(x.gpu, x.shape);
    layerNormForward(x.gpu, {
      x: x.buffer,
      affine: gamma && beta ? { gamma: gamma.buffer, beta: beta.buffer } : null,
      y: y.buffer,
      stats: stats?.buffer ?? null,
      rows,
      width,
      eps,
    });
    if (stats) save({ x, stats, gamma });
    stats?.dispose();
    return y;
  },
  gradient(dy, { saved: { x, stats, gamma }, needs, take, defers, attributes }) {
    const width = dy.dim(-1);
    const rows = dy.size / width;
    const { gpu } = dy;
    const frozen = !needs[1] && !needs[2];
    if (gamma && frozen && defers(0) === 'layerNorm' && mayTakeNorm(gpu, rows)) {
      const put = new DeferredNormGradient(dy, x, stats, gamma, take(0), attributes);
      return [Tensor.deferred(gpu, dy.shape, put), null, null];
    }
    const shared = { x: x.buffer, stats: stats.buffer, dy: dy.buffer, rows, width };
    const dx = needs[0] ? Tensor.empty(gpu, dy.shape) : null;
    if (dx) {
      const residual = take(0)?.buffer ?? null;
      layerNormBackward(gpu, { gamma: gamma?.buffer ?? null, residual, dx: dx.buffer, ...shared });
    }
    if (frozen) return [dx, null, null];
    const [dgamma, dbeta] = [Tensor.empty(gpu, [width]), Tensor.empty(gpu, [width])];
    layerNormBackwardParams(gpu, { dgamma: dgamma.buffer, dbeta: dbeta.buffer, ...shared });
    return [dx, dgamma, dbeta];
  },
};

/** Layer norm over the last axis: (x - mean) / sqrt(variance + eps) · gamma + beta; gamma and beta [width], or both null. */
export function layerNorm(x: Tensor, gamma: Tensor | null, beta: Tensor | null, eps = 1e-5): Tensor {
  if (!gamma !== !beta) throw new Error('layerNorm takes gamma and beta, or neither');
  for (const one of [gamma, beta])
    if (one && one.size !== x.dim(-1))
      throw new Error(`layerNorm of [${x.shape.join(', ')}] by [${one.shape.join(', ')}]`);
  return apply(layerNormOp, [x, gamma, beta], { eps });
}
