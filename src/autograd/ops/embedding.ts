import { gatherRowsBackward, gatherRows as gatherRowsForward } from '../../kernels/embedding.ts';
import type { Op } from '../op.ts';
import { apply } from '../tape.ts';
import { Tensor } from '../tensor.ts';

const gatherRowsOp: Op<{
  inputs: [table: Tensor, indices: Tensor, base: Tensor | null];
  saved: { indices: Tensor };
}> = {
  name: 'gatherRows',
  types: [['f32', 'f16'], ['u32'], ['f32']],
  forward([table, indices, base], { save }) {
    const { gpu, type } = table;
    const width = table.dim(-1);
    const out = Tensor.empty(gpu, [indices.size, width]);
    gatherRowsForward(gpu, {
      table: table.buffer,
      indices: indices.buffer,
      out: out.buffer,
      count: indices.size,
      width,
      rows: table.dim(0),
      half: type === 'f16',
      base: base?.buffer ?? null,
    });
    save({ indices });
    return out;
  },
  gradient(dy, { saved: { indices }, shapes: [shape], needs }) {
    if (!needs[0]) return [null, null, dy];
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
    return [dtable, null, needs[2] ? dy : null];
  },
};

/**
 * Rows of a table [rows, width] (float32 or float16) by number, u32 [n] → [n, width].
 *
 * @param base [n, width], added to the rows; a number beyond the table's rows then stands for a row of zeros
 */
export function gatherRows(table: Tensor, indices: Tensor, base: Tensor | null = null): Tensor {
  if (table.shape.length !== 2)
    throw new Error(`gatherRows: a table [${table.shape.join(', ')}] has no rows`);
  if (base && base.size !== indices.size * table.dim(1))
    throw new Error(
      `gatherRows: ${indices.size} rows of [${table.shape.join(', ')}] do not fit a base [${base.shape.join(', ')}]`,
    );
  return apply(gatherRowsOp, [table, indices, base]);
}
