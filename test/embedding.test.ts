import { describe, expect, it } from 'vitest';
import { gatherRows } from '../src/autograd/ops/embedding.ts';
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

  it('takes rows of float16 tables', async () => {
    const gpu = await sharedGpu();
    const table = float32ToFloat16(randoms(7 * 5, 1));
    const indices = Uint32Array.of(6, 0, 0, 3);
    const rows = gatherRows(Tensor.from(gpu, table, [7, 5]), Tensor.from(gpu, indices));
    expect([...(await rows.read())]).toEqual(taken(float16ToFloat32(table), 5, indices));
  });
});
