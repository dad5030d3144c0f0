import source from '../../../shaders/matmul_tile.wgsl';
import type { Variant } from '../variant.ts';
import { constantsOf, type MatmulOperands, type MatmulShape, operandBuffers } from './shape.ts';

const kernel = { name: 'matmul_tile', source };

/** Square tiles in shared memory, for GPUs: a larger one reuses more of what it reads, but needs enough of them to fill the device. */
export const tiles = [64, 128].map(
  (size): Variant<MatmulShape, MatmulOperands> => ({
    name: `tile${size}x${size}`,
    sources: [source],
    applies: (_gpu, { interleaved }) => !interleaved,

    // On a GPU a rank. On a processor nanoseconds, between those of the naive kernel and of a tile in registers.
    cost({ adapter: { software } }, { m, n, k, batch }) {
      if (!software) return size === 64 ? 2 : m >= 512 && n >= 512 ? 1 : 3;
      return size === 64 && m * n >= 4096 ? 10 * m * n * k * batch : Number.POSITIVE_INFINITY;
    },

    launch(gpu, operands, shape) {
      const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
      gpu.run(kernel, {
        constants: constantsOf(operands, {
          HALF_B: Number(half),
          TILE: size,
          TRANSPOSE_A: Number(transposeA),
          TRANSPOSE_B: Number(transposeB),
        }),
        buffers: operandBuffers(operands),
        params: [m, n, k, strideA, strideB],
        groups: [Math.ceil(n / size), Math.ceil(m / size), batch],
      });
    },
  }),
);
