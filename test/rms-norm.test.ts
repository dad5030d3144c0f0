import { expect, it } from 'vitest';
import { rmsNorm } from '../src/autograd/ops/rms-norm.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { byRows } from '../src/reference/rows.ts';
import { checkOp, rowShapes } from './check-op.ts';
import { sharedGpu } from './gpu.ts';

it.each(rowShapes)('rmsNorm of %i rows of %i', (rows, width) =>
  checkOp(
    (x, gamma) => rmsNorm(x, gamma, 0.1),
    (x, gamma) =>
      byRows(x, width, (row) => {
        const rms = Math.sqrt(Math.hypot(...row) ** 2 / width + 0.1);
        return row.map((value, i) => (value / rms) * gamma[i]!);
      }),
    [[1, rows, width], [width]],
  ),
);

it('rmsNorm refuses a gamma of another width', async () => {
  const gpu = await sharedGpu();
  expect(() => rmsNorm(Tensor.zeros(gpu, [2, 3]), Tensor.zeros(gpu, [2]))).toThrow('of [2, 3] by [2]');
});
