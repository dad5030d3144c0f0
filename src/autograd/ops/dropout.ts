import { dropout as launch } from '../../kernels/dropout.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

interface Attributes {
  readonly p: number;
  readonly stream: number;
}

function run(x: Tensor, seed: Tensor, { p, stream }: Attributes): Tensor {
  const out = Tensor.empty(x.gpu, x.shape);
  launch(x.gpu, x.buffer, seed.buffer, out.buffer, { size: x.size, p, stream });
  return out;
}

const dropoutOp: Op<{
  inputs: [x: Tensor, seed: Tensor];
  saved: { seed: Tensor };
  attributes: Attributes;
}> = {
  name: 'dropout',
  types: [['f32'], ['u32']],
  forward([x, seed], { attributes, save }) {
    save({ seed });
    return run(x, seed, attributes);
  },
  gradient: (dy, { saved: { seed }, attributes }) => [run(dy, seed, attributes), null],
};

/**
 * Drops each element with probability p and divides the rest by 1 - p (Srivastava et al., JMLR 2014).
 *
 * @param seed u32 [2]: seed and step; with `stream`, which tells the dropouts of a step apart, it fixes the mask. Written
 *   between two replays of a captured step, it has the next one draw another mask
 */
export function dropout(
  x: Tensor,
  p: number,
  { seed, stream }: { readonly seed: Tensor; readonly stream: number },
): Tensor {
  if (!(p >= 0 && p < 1)) throw new Error(`dropout probability ${p} is not in [0, 1)`);
  if (seed.type !== 'u32' || seed.size < 2) throw new Error('dropout: the seed is a u32 tensor [2]');
  return p === 0 ? x : apply(dropoutOp, [x, seed], { p, stream });
}
