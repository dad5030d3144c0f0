import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { concat, expand, gatherRows, reshape, slice } from '../src/autograd/ops/rows.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { float16ToFloat32, float32ToFloat16 } from '../src/data/float16.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf } from './reference.ts';

const flat = (rows: Float32Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));

describe('gatherRows', () => {
  it('takes rows of float32 and of float16 tables', async () => {
    const gpu = await sharedGpu();
    const table = randoms(7 * 5, 1);
    const indices = Uint32Array.of(6, 0, 0, 3);
    const expected = flat([...indices].map((i) => rowsOf(table, 5)[i]!));
    const full = gatherRows(Tensor.from(gpu, table, [7, 5]), Tensor.from(gpu, indices));
    expect(await full.read()).toEqual(expected);
    const half = gatherRows(Tensor.from(gpu, float32ToFloat16(table), [7, 5]), Tensor.from(gpu, indices));
    expect(await half.read()).toEqual(float16ToFloat32(float32ToFloat16(expected)));
  });

  it('adds the gradients of a row that is taken several times', async () => {
    const gpu = await sharedGpu();
    const indices = Tensor.from(gpu, Uint32Array.of(2, 2, 0, 2));
    await gradcheck((table) => gatherRows(table!, indices), [Tensor.from(gpu, randoms(4 * 70, 2), [4, 70])], {
      tolerance: 2e-3,
    });
  });
});

describe('slice, concat, expand, reshape', () => {
  it('cuts along any axis and puts together again', async () => {
    const gpu = await sharedGpu();
    const values = randoms(3 * 5 * 7, 3);
    const x = Tensor.from(gpu, values, [3, 5, 7]);
    for (const axis of [0, 1, 2]) {
      const parts = [
        slice(x, axis, 0, 1),
        slice(x, axis, 1, 3),
        ...(axis === 0 ? [] : [slice(x, axis, 3, [3, 5, 7][axis]!)]),
      ];
      expect(await concat(parts, axis).read()).toEqual(values);
    }
    expect(await slice(x, 1, 2, 3).read()).toEqual(
      flat([0, 1, 2].map((b) => values.slice(b * 35 + 14, b * 35 + 21))),
    );
    expect(() => slice(x, 1, 4, 6)).toThrow(/slice 4..6 of axis 1/);
  });

  it('cuts rows of halves', async () => {
    const gpu = await sharedGpu();
    const halves = float32ToFloat16(randoms(5 * 6, 6));
    const cut = slice(Tensor.from(gpu, halves, [5, 6]), 0, 1, 3);
    expect(new Uint16Array(await cut.readRaw())).toEqual(halves.slice(6, 18));
    expect(() => slice(Tensor.from(gpu, halves.slice(0, 15), [5, 3]), 0, 1, 2)).toThrow(/whole words/);
  });

  it('repeats', async () => {
    const gpu = await sharedGpu();
    const repeated = expand(Tensor.from(gpu, [1, 2, 3]), 2);
    expect(repeated.shape).toEqual([2, 3]);
    expect(await repeated.read()).toEqual(Float32Array.of(1, 2, 3, 1, 2, 3));
  });

  it('has the right gradients', async () => {
    const gpu = await sharedGpu();
    const inputs = [Tensor.from(gpu, randoms(12, 4), [3, 4]), Tensor.from(gpu, randoms(6, 5), [3, 2])];
    await gradcheck((a, b) => concat([slice(a!, 1, 1, 3), b!, a!, b!], 1), inputs, { tolerance: 2e-3 });
    await gradcheck((a) => expand(a!, 5), inputs.slice(0, 1), { tolerance: 2e-3 });
    await gradcheck((a) => reshape(a!, [2, 6]), inputs.slice(0, 1), { tolerance: 2e-3 });
  });
});
