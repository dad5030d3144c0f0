import knSource from '../../../shaders/matmul_simd_kn.wgsl';
import nkSource from '../../../shaders/matmul_simd_nk.wgsl';
import tnSource from '../../../shaders/matmul_simd_tn.wgsl';
import { subgroupIsVector } from '../subgroup-vector.ts';
import type { Variant } from '../variant.ts';
import { constantsOf, type MatmulOperands, type MatmulShape, operandBuffers } from './shape.ts';

const nk = { name: 'matmul_simd_nk', source: nkSource };
const kn = { name: 'matmul_simd_kn', source: knSource };
const tn = { name: 'matmul_simd_tn', source: tnSource };

/** Columns of a lane. */
const columns = 4;

/**
 * Register tiles of one subgroup, 8·rows x 32, for adapters that are a processor: a subgroup is then a vector register,
 * and a load costs as much as dozens of multiply-adds.
 */
export const simd = [1, 2, 3, 4, 5].map(
  (rows): Variant<MatmulShape, MatmulOperands> => ({
    name: `simd${8 * rows}x${8 * columns}`,
    sources: [nkSource, knSource, tnSource],

    applies(gpu, { m, transposeA, transposeB, aligned, interleaved }) {
      if (interleaved || !aligned || !subgroupIsVector(gpu)) return false;
      // Of A transposed there is one height; else none that is mostly beyond the product.
      return transposeA ? !transposeB && rows === 4 : 8 * rows < m + 8;
    },

    // On a processor nanoseconds of one lavapipe thread: a step's loads, broadcasts and multiply-adds. On a GPU a rank.
    cost({ adapter: { software } }, { m, n, k, batch }) {
      if (!software) return 4;
      const step = (rows + columns) * 35 + 32 * rows * (0.7 + 0.3 * columns);
      return Math.ceil(m / (8 * rows)) * Math.ceil(n / (8 * columns)) * batch * (k / 4) * step;
    },

    launch(gpu, operands, shape) {
      const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
      const HALF_B = Number(half);
      gpu.run(transposeA ? tn : transposeB ? nk : kn, {
        constants: constantsOf(operands, transposeA ? { HALF_B } : { HALF_B, ROWS_PER_LANE: rows }),
        buffers: operandBuffers(operands),
        params: [m, n, k, strideA / 4, strideB / 4],
        groups: [Math.ceil(n / (8 * columns)), Math.ceil(m / (8 * rows)), batch],
      });
    },
  }),
);
