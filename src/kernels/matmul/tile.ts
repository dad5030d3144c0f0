import source from '../../../shaders/matmul_tile.wgsl';
import type { Variant } from '../variant.ts';
import { constantsOf, type MatmulOperands, type MatmulShape, operandBuffers } from './shape.ts';

const kernel = { name: 'matmul_tile', source };

/** Workgroups that keep a large GPU busy: two or three on each of its processors. */
const enough = 256;

/** Tiles in shared memory, for GPUs: a larger one reuses more of what it reads, but needs enough of them to fill the device. */
export const tiles = (
  [
    [64, 64],
    [64, 128],
    [128, 128],
  ] as const
).map(
  ([rows, columns]): Variant<MatmulShape, MatmulOperands> => ({
    name: `tile${rows}x${columns}`,
    sources: [source],
    applies: (_gpu, { interleaved }) => !interleaved,

    // On a GPU a rank: the largest tile of which there are enough. On a processor nanoseconds, between those of the naive kernel and
    // of a tile in registers.
    cost({ adapter: { software } }, { m, n, k, batch }) {
      const groups = Math.ceil(m / rows) * Math.ceil(n / columns) * batch;
      if (!software)
        return rows * columns === 64 * 64 ? 2 : groups < enough ? 3 : 2 - (rows * columns) / 2 ** 14;
      return rows * columns === 64 * 64 && m * n >= 4096 ? 10 * m * n * k * batch : Number.POSITIVE_INFINITY;
    },

    launch(gpu, operands, shape) {
      const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half, aligned } = shape;
      gpu.run(kernel, {
        constants: constantsOf(operands, {
          TILE_M: rows,
          TILE_N: columns,
          TRANSPOSE_A: Number(transposeA),
          TRANSPOSE_B: Number(transposeB),
          VEC: Number(aligned),
          HALF_B: Number(half),
        }),
        buffers: operandBuffers(operands),
        params: [m, n, k, strideA, strideB],
        groups: [Math.ceil(n / columns), Math.ceil(m / rows), batch],
      });
    },
  }),
);
