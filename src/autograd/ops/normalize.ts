import { l2Normalize as launch } from '../../kernels/rows/l2-normalize.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

interface Attributes {
  readonly eps: number;
}

function run(x: Tensor, dy: Tensor | null, options: Attributes): Tensor {
  const out = Tensor.empty(x.gpu, x.shape);
  const width = x.dim(-1);
  launch(x.gpu, x.buffer, dy?.buffer ?? null, out.buffer, x.size / width, width, options);
  return out;
}

const l2NormalizeOp: Op<{ inputs: [x: Tensor]; saved: { x: Tensor }; attributes: Attributes }> = {
  name: 'l2Normalize',
  forward([x], { attributes, save }) {
    save({ x });
    return run(x, null, attributes);
  },
  gradient: (dy, { saved: { x }, attributes }) => [run(x, dy, attributes)],
};

/** x / max(|x|, eps) over the last axis; with eps 0, as CLIP has it, a row of zeros gives NaN. */
export function l2Normalize(x: Tensor, eps = 0): Tensor {
  return apply(l2NormalizeOp, [x], { eps });
}
