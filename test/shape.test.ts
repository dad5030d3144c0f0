import { describe, expect, it } from 'vitest';
import { concat, expand, permute, reshape, slice, transpose } from '../src/autograd/ops/shape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { float32ToFloat16 } from '../src/data/formats/float16.ts';
import { rowsOf } from '../src/reference/rows.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const flat = (rows: Float32Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));

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
    const columns = (x: Float64Array, width: number, from: number, to: number) =>
      rowsOf(x, width).map((row) => [...row.subarray(from, to)]);
    await checkOp(
      (a, b) => concat([slice(a, 1, 1, 3), b, a, b], 1),
      (a, b) =>
        columns(a, 4, 1, 3).flatMap((part, row) => [
          ...part,
          ...columns(b, 2, 0, 2)[row]!,
          ...columns(a, 4, 0, 4)[row]!,
          ...columns(b, 2, 0, 2)[row]!,
        ]),
      [
        [3, 4],
        [3, 2],
      ],
      { forward: 0 },
    );
    await checkOp(
      (a) => expand(a, 5),
      (a) => Array.from({ length: 5 }, () => [...a]).flat(),
      [[3, 4]],
      { forward: 0 },
    );
    await checkOp(
      (a) => reshape(a, [2, 6]),
      (a) => a,
      [[3, 4]],
      { forward: 0 },
    );
  });
});

describe('permute and transpose', () => {
  /** Element by element, by coordinates. */
  function permutedOf(
    values: Float64Array,
    shape: readonly number[],
    order: readonly number[],
  ): Float64Array {
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
  ])('puts the axes of %j in the order %j, and their gradients back', async (shape, order) => {
    const gpu = await sharedGpu();
    expect(permute(Tensor.zeros(gpu, shape), order).shape).toEqual(order.map((axis) => shape[axis]));
    await checkOp(
      (x) => permute(x, order),
      (x) => permutedOf(x, shape, order),
      [shape],
      { forward: 0 },
    );
  });

  it('exchanges the last two axes', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.zeros(gpu, [2, 3, 5]);
    expect(transpose(x).shape).toEqual([2, 5, 3]);
    await checkOp(transpose, (a) => permutedOf(a, [2, 3, 5], [0, 2, 1]), [[2, 3, 5]], { forward: 0 });
    expect(() => transpose(Tensor.zeros(gpu, [3]))).toThrow(/fewer than two axes/);
    expect(() => permute(x, [0, 0, 1])).toThrow(/is not a permutation of the axes/);
  });
});
