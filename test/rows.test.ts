import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { gatherRows } from '../src/autograd/ops/embedding.ts';
import { concat, expand, permute, reshape, slice, transpose } from '../src/autograd/ops/shape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { elementCount } from '../src/common/shape.ts';
import { float16ToFloat32, float32ToFloat16 } from '../src/data/formats/float16.ts';
import { sharedGpu } from './gpu.ts';
import { randoms, rowsOf } from './reference/values.ts';

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
    expect(() => slice(Tensor.from(gpu, halves.slice(0, 15), [5, 3]), 0, 1, 2)).toThrow(/32-bit words/);
  });

  it('keeps the type of numbers and halves put together and repeated', async () => {
    const gpu = await sharedGpu();
    const numbers = Tensor.from(gpu, Uint32Array.of(1, 2, 2 ** 32 - 1), [3, 1]);
    const both = concat([numbers, numbers], 1);
    expect(both.type).toBe('u32');
    expect([...new Uint32Array(await both.readRaw())]).toEqual([1, 1, 2, 2, 2 ** 32 - 1, 2 ** 32 - 1]);
    const halves = float32ToFloat16(randoms(12, 7));
    const rows = Tensor.from(gpu, halves, [3, 4]);
    const stacked = expand(concat([rows, rows], 0), 2);
    expect(stacked.type).toBe('f16');
    expect([...new Uint16Array(await stacked.readRaw())]).toEqual([
      ...halves,
      ...halves,
      ...halves,
      ...halves,
    ]);
    const odd = Tensor.from(gpu, halves.slice(0, 3), [1, 3]);
    expect(() => concat([odd, odd], 1)).toThrow(/32-bit words/);
    expect(() => expand(odd, 2)).toThrow(/32-bit words/);
    expect(() => concat([numbers, rows], 1)).toThrow(/f16 \[3, 0\] does not fit u32 \[3, 0\]/);
    expect(() => concat([Tensor.zeros(gpu, [2, 3]), Tensor.zeros(gpu, [2, 4])], 0)).toThrow(/does not fit/);
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

describe('permute and transpose', () => {
  /** Element by element, by coordinates. */
  function permutedOf(
    values: Float32Array,
    shape: readonly number[],
    order: readonly number[],
  ): Float32Array {
    const to = order.map((axis) => shape[axis]!);
    return values.map((_, index) => {
      const at = shape.map(() => 0);
      let rest = index;
      for (let k = to.length - 1; k >= 0; k--) {
        at[order[k]!] = rest % to[k]!;
        rest = Math.floor(rest / to[k]!);
      }
      return values[at.reduce((sum, coordinate, axis) => sum * shape[axis]! + coordinate, 0)]!;
    });
  }

  it.each([
    [[5], [0]],
    [
      [17, 257],
      [1, 0],
    ],
    [
      [3, 1, 7],
      [2, 0, 1],
    ],
    [
      [2, 3, 5, 7],
      [0, 2, 1, 3],
    ],
    [
      [2, 3, 5, 7],
      [2, 3, 0, 1],
    ],
    [
      [2, 3, 2, 3, 2, 3],
      [5, 3, 1, 4, 2, 0],
    ],
    [
      [1, 1],
      [1, 0],
    ],
  ])('puts the axes of %j in the order %j', async (shape, order) => {
    const gpu = await sharedGpu();
    const values = randoms(elementCount(shape), 8);
    const y = permute(Tensor.from(gpu, values, shape), order);
    expect(y.shape).toEqual(order.map((axis) => shape[axis]));
    expect(await y.read()).toEqual(permutedOf(values, shape, order));
  });

  it('exchanges the last two axes', async () => {
    const gpu = await sharedGpu();
    const values = randoms(2 * 3 * 5, 9);
    const y = transpose(Tensor.from(gpu, values, [2, 3, 5]));
    expect(y.shape).toEqual([2, 5, 3]);
    expect(await y.read()).toEqual(permutedOf(values, [2, 3, 5], [0, 2, 1]));
    expect(() => transpose(Tensor.zeros(gpu, [3]))).toThrow(/fewer than two axes/);
    expect(() => permute(y, [0, 0, 1])).toThrow(/not a permutation of the axes/);
  });

  it('has the right gradients', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(24, 10), [2, 3, 4]);
    await gradcheck((a) => permute(a!, [2, 0, 1]), [x], { tolerance: 2e-3 });
    await gradcheck((a) => transpose(a!), [x], { tolerance: 2e-3 });
  });
});
