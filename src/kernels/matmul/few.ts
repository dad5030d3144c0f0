import source from '../../../shaders/matmul_few.wgsl';
import type { Constants } from '../device/wgsl.ts';
import type { Variant } from '../variant.ts';
import { constantsOf, type MatmulOperands, type MatmulShape, type NormOfA, operandBuffers } from './shape.ts';

/** Rows, at most. */
export const mostFew = 64;

const kernel = { name: 'matmul_few', source };

/** Of lib_matmul_norm.wgsl. A gradient takes three loads for one, hence half as many steps at once. */
function normConstants(norm: NormOfA | null | undefined): Constants {
  if (!norm) return {};
  if (norm.of === 'rows') return { NORM: 1, NORM_EPS: norm.eps };
  return { NORM: 2, NORM_EPS: norm.eps, NORM_RESIDUAL: Number(norm.residual !== null), AT_ONCE: 1 };
}

/** Few rows, k split over the lanes of a workgroup, for GPUs: enough workgroups, and few loads that wait for one another. */
export const few: Variant<MatmulShape, MatmulOperands> = {
  name: 'few',
  sources: [source],
  applies: (_gpu, { m, transposeA, aligned, interleaved }) =>
    m <= mostFew && !transposeA && aligned && !interleaved,

  // By rule for all it applies to on a GPU, but where k is short, or there are enough tiles of 64 x 64 to fill one anyway.
  cost({ adapter: { software } }, { m, n, k, batch }) {
    if (software) return Number.POSITIVE_INFINITY;
    return k >= 128 && Math.ceil(n / 64) * Math.ceil(m / 64) * batch < 256 ? 1 : 2.5;
  },

  launch(gpu, operands, shape) {
    const { m, n, k, transposeB, batch, strideA, strideB, half } = shape;
    gpu.run(kernel, {
      constants: constantsOf(operands, {
        HALF_B: Number(half),
        TRANSPOSE_B: Number(transposeB),
        ...normConstants(operands.norm),
      }),
      buffers: operandBuffers(operands),
      params: [m, n, k, strideA / 4, strideB / 4],
      groups: [Math.ceil(n / 16), Math.ceil(m / 8), batch],
    });
  },
};
