import { l2Normalize as launch } from '../../kernels/normalize.ts';
import { apply, type Op } from '../tape.ts';
import { Tensor } from '../tensor.ts';

function run(x: Tensor, dy: Tensor | null): Tensor {
  const out = Tensor.empty(x.gpu, x.shape);
  const width = x.dim(-1);
  launch(x.gpu, x.buffer, dy?.buffer ?? null, out.buffer, x.size / width, width);
  return out;
}

const normalizeOp: Op<null> = {
  name: 'l2Normalize',
  forward([x], _attributes, { save }) {
    save(x!);
    return run(x!, null);
  },
  gradient: (dy, { saved: [x] }) => [run(x!, dy)],
};

/** x / |x| over the last axis. */
export function l2Normalize(x: Tensor): Tensor {
  return apply(normalizeOp, [x], null);
}
