import { dropout as dropoutLaunch } from '../../kernels/dropout.ts';
import { joinRepeatedBackward, joinRepeated as launch } from '../../kernels/join-repeated.ts';
import { copyBlock } from '../../kernels/shape.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';
import { dropout } from './dropout.ts';
import { concat, expand } from './shape.ts';

/** Of dropout, as that op takes it. */
export interface JoinDropout {
  readonly p: number;
  /** u32 [2] */
  readonly seed: Tensor;
  readonly stream: number;
}

const joinRepeatedOp: Op<{
  inputs: [x: Tensor, repeated: Tensor, seed: Tensor | null];
  saved: { seed: Tensor | null };
  attributes: { readonly p: number; readonly stream: number };
}> = {
  name: 'joinRepeated',
  types: [['f32'], ['f32'], ['u32']],
  forward([x, repeated, seed], { attributes: { p, stream }, save }) {
    const [rows, own] = [x.dim(0), x.dim(1)];
    const width = own + repeated.size;
    const out = Tensor.empty(x.gpu, [rows, width]);
    launch(x.gpu, {
      rows,
      own,
      width,
      dropout: seed && { p, stream, seed: seed.buffer },
      x: x.buffer,
      repeated: repeated.buffer,
      out: out.buffer,
    });
    save({ seed });
    return out;
  },
  gradient(dy, { saved: { seed }, needs, shapes: [shape, repeated], attributes: { p, stream } }) {
    const { gpu } = dy;
    const [rows, own] = shape as [number, number];
    const width = dy.dim(1);
    const dRepeated = needs[1] ? Tensor.empty(gpu, repeated) : null;
    if (dRepeated)
      joinRepeatedBackward(gpu, {
        rows,
        own,
        width,
        dropout: seed && { p, stream, seed: seed.buffer },
        dy: dy.buffer,
        dRepeated: dRepeated.buffer,
      });
    if (!needs[0]) return [null, dRepeated, null];
    // Nothing of CLIP-AGIQA's learns before its image features: this takes the launches of the ops apart.
    const dx = Tensor.empty(gpu, shape);
    const kept = seed ? Tensor.empty(gpu, dy.shape) : dy;
    if (seed) dropoutLaunch(gpu, dy.buffer, seed.buffer, kept.buffer, { size: dy.size, p, stream });
    const block = { rows, width: own, xStride: width, xAt: 0, outStride: own, outAt: 0 };
    copyBlock(gpu, kept.buffer, dx.buffer, block);
    return [dx, dRepeated, null];
  },
};

/**
 * dropout(x ++ repeated): x [B, D] with one row [T] beside each of its rows → [B, D + T], and dropout of the whole, if any, in one
 * launch where D and T are multiples of 4. The same as the three ops apart, masks included.
 */
export function joinRepeated(x: Tensor, repeated: Tensor, drop: JoinDropout | null = null): Tensor {
  if (x.shape.length !== 2 || repeated.shape.length !== 1)
    throw new Error(`joinRepeated of [${x.shape.join(', ')}] and [${repeated.shape.join(', ')}]`);
  const some = drop && drop.p > 0 ? drop : null;
  if ((x.dim(1) | repeated.size) % 4 === 0) {
    const { p = 0, stream = 0, seed = null } = some ?? {};
    if (p >= 1) throw new Error(`dropout probability ${p} is not in [0, 1)`);
    return apply(joinRepeatedOp, [x, repeated, seed], { p, stream });
  }
  const joined = concat([x, expand(repeated, x.dim(0))], 1);
  return some ? dropout(joined, some.p, some) : joined;
}
