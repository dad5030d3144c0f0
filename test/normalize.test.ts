import { it } from 'vitest';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { logSoftmax, softmax } from '../src/autograd/ops/softmax.ts';
import { checkOp } from './check-op.ts';
import { byRows, logSumExp, softmaxRow } from './reference/rows.ts';
import { randoms } from './reference/values.ts';

const shapes = [
  [1, 3],
  [3, 7],
  [3, 17],
  [33, 197],
  [257, 64],
] as const;

it.each(shapes)('l2Normalize of %i rows of %i', (rows, width) =>
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
