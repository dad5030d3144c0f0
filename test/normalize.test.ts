import { describe, expect, it } from 'vitest';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { logSoftmax, softmax } from '../src/autograd/ops/softmax.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { byRows, logSumExp, softmaxRow } from '../src/reference/rows.ts';
import { checkOp, rowShapes } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const variants = applicableRowVariants(await sharedGpu());

it.each(rowShapes)('l2Normalize of %i rows of %i', (rows, width) =>
  checkOp(
    (x) => l2Normalize(x),
    (x) =>
      byRows(x, width, (row) => {
        const length = Math.hypot(...row);
        return row.map((value) => value / length);
      }),
    [[rows, width]],
    { values: (count) => randoms(count, 1, 7) },
  ),
);

it('l2Normalize divides rows shorter than eps by it', () =>
  checkOp(
    (x) => l2Normalize(x, 2),
    (x) =>
      byRows(x, 3, (row) => {
        const length = Math.max(2, Math.hypot(...row));
        return row.map((value) => value / length);
      }),
    [[3, 3]],
    { values: () => Float32Array.of(0, 0, 0, 0.3, 0.4, 0, 3, 4, 0) },
  ));

// The last two are many enough for a row a lane on a software adapter, whose number is a multiple of 4 and is not.
const shapes = [...rowShapes, [1024, 77], [1026, 77]] as const;

// Up to exp(30) and more, where the largest must be taken off first; and as attention has them.
it.each(shapes.flatMap(([rows, width]) => [30, 1].map((scale) => [rows, width, scale] as const)))(
  'softmax and logSoftmax of %i rows of %i, scale %i',
  async (rows, width, scale) => {
    const values = (count: number) => randoms(count, 2, scale);
    await checkOp(
      logSoftmax,
      (x) =>
        byRows(x, width, (row) => {
          const total = logSumExp(row);
          return row.map((value) => value - total);
        }),
      [[rows, width]],
      { values },
    );
    await checkOp(softmax, (x) => byRows(x, width, softmaxRow), [[rows, width]], { values, forward: 1e-5 });
  },
);

describe.each(variants)('by variant %s', (variant) => {
  const check = async (op: (x: Tensor) => Tensor, x: Tensor, expected: readonly number[]) =>
    expect(maxError(await withRowVariant(variant, () => op(x)).read(), expected)).toBeLessThan(1e-6);

  it('softmax of values beyond the range of exp', async () => {
    const x = Tensor.from(await sharedGpu(), [-3e4, 3e4, 2.99e4, -1e38, -1e38, -1e38, 1, 1, 1], [3, 3]);
    await check(softmax, x, [0, 1, 0, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3]);
  });

  it('rows of one number', async () => {
    const x = Tensor.from(await sharedGpu(), [-7, 3], [2, 1]);
    await check(softmax, x, [1, 1]);
    await check(logSoftmax, x, [0, 0]);
    await check(l2Normalize, x, [-1, 1]);
  });
});
