import { gatherRowsBackward, gatherRows as gatherRowsForward } from '../../kernels/embedding.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const gatherRowsOp: Op<{ inputs: [table: Tensor, indices: Tensor]; saved: { indices: Tensor } }> = {
  name: 'gatherRows',
  types: [['f32', 'f16'], ['u32']],
  forward([table, indices], { save }) {
    const { gpu, type } = table;
    const width = table.dim(-1);
    const out = Tensor.empty(gpu, [indices.size, width]);
    gatherRowsForward(gpu, {
      table: table.buffer,
      indices: indices.buffer,
      out: out.buffer,
      count: indices.size,
      width,
      half: type === 'f16',
    });
    save({ indices });
    return out;
  },
  gradient(dy, { saved: { indices }, shapes: [shape] }) {
    const dtable = Tensor.empty(dy.gpu, shape);
    const [rows, width] = [dtable.dim(0), dtable.dim(1)];
    gatherRowsBackward(dy.gpu, {
      dy: dy.buffer,
      indices: indices.buffer,
      dtable: dtable.buffer,
      count: indices.size,
      width,
      rows,
    });
    return [dtable, null];
  },
};

/** Rows of a table [rows, width] (float32 or float16) by number, u32 [n] → [n, width]. */
export function gatherRows(table: Tensor, indices: Tensor): Tensor {
  if (table.shape.length !== 2)
    throw new Error(`gatherRows: a table [${table.shape.join(', ')}] has no rows`);
  return apply(gatherRowsOp, [table, indices]);
}
