import { describe, expect, it } from 'vitest';
import { gatherRows } from '../src/autograd/ops/embedding.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { float16ToFloat32, float32ToFloat16 } from '../src/data/formats/float16.ts';
import { rowsOf } from '../src/reference/rows.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

describe('gatherRows', () => {
  const taken = (table: Float32Array | Float64Array, width: number, indices: Uint32Array) =>
    [...indices].flatMap((i) => [...rowsOf(table, width)[i]!]);

  // A row that is taken several times adds up its gradients, one that is not has none.
  it.each([
    [7, 5, [6, 0, 0, 3]],
    [4, 70, [2, 2, 0, 2]],
    [3, 1, [1]],
  ])('takes rows of a table [%i, %i]: %j', async (rows, width, chosen) => {
    const gpu = await sharedGpu();
    const indices = Uint32Array.from(chosen);
    const tensor = Tensor.from(gpu, indices);
    await checkOp(
      (table) => gatherRows(table, tensor),
      (table) => taken(table, width, indices),
      [[rows, width]],
      { forward: 0 },
    );
  });

  it('adds a base, for which a number beyond the table is a row of zeros', async () => {
    const gpu = await sharedGpu();
    const indices = Uint32Array.of(2, 9, 0, 3, 2);
    const tensor = Tensor.from(gpu, indices);
    const rows = (table: Float64Array) =>
      [...indices].flatMap((i) => [...(rowsOf(table, 5)[i] ?? new Float64Array(5))]);
    await checkOp(
      (table, base) => gatherRows(table, tensor, base),
      (table, base) => rows(table).map((value, i) => value + base[i]!),
      [
        [3, 5],
        [5, 5],
      ],
      { forward: 1e-7 },
    );
    expect(() => gatherRows(Tensor.zeros(gpu, [3, 5]), tensor, Tensor.zeros(gpu, [4, 5]))).toThrow(
      '5 rows of [3, 5] do not fit a base [4, 5]',
    );
  });

  it('has gradients of large tables, of which only some rows are written, too', async () => {
    const gpu = await sharedGpu();
    const indices = Uint32Array.of(1029, 0, 1029, 1500, 7);
    const [table, tensor] = [Tensor.zeros(gpu, [1030, 3]), Tensor.from(gpu, indices)];
    const [base, dy] = [Tensor.zeros(gpu, [5, 3]), randoms(15, 3)];
    const { gradients } = valueAndGradients(
      () => gatherRows(table, tensor, base),
      [table],
      Tensor.from(gpu, dy, [5, 3]),
    );
    const expected = new Float32Array(1030 * 3);
    for (const [i, row] of indices.entries())
      for (let c = 0; c < 3; c++) if (row < 1030) expected[row * 3 + c]! += dy[i * 3 + c]!;
    expect(await gradients.get(table)!.read()).toEqual(expected);
  });

  it('takes rows of float16 tables', async () => {
    const gpu = await sharedGpu();
    const table = float32ToFloat16(randoms(7 * 5, 1));
    const indices = Uint32Array.of(6, 0, 0, 3);
    const rows = gatherRows(Tensor.from(gpu, table, [7, 5]), Tensor.from(gpu, indices));
    expect([...(await rows.read())]).toEqual(taken(float16ToFloat32(table), 5, indices));
  });
});
