import source from '../../../shaders/matmul_tile.wgsl';
import type { Gpu } from '../device/gpu.ts';
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
      const constants = constantsOf(operands, {
        TILE_M: rows,
        TILE_N: columns,
        TRANSPOSE_A: Number(transposeA),
        TRANSPOSE_B: Number(transposeB),
        VEC: Number(aligned),
        HALF_B: Number(half),
      });
      const buffers = operandBuffers(operands);
      const tall = Math.ceil(m / rows);
      const most = tilesAtOnce(gpu, shape, tall);
      for (let first = 0; first < tall; first += most) {
        const count = Math.min(most, tall - first);
        const own = Math.min(count * rows, m - first * rows);
        gpu.run(kernel, {
          constants,
          buffers,
          params: [m, n, k, strideA, strideB, first, own],
          groups: [Math.ceil(n / columns), count, batch],
        });
      }
    },
  }),
);

/** Of `tall` rows of tiles as many as a launch may have, so that no watchdog minds: about the same in each. */
function tilesAtOnce({ mostOperations }: Gpu, { m, n, k, batch }: MatmulShape, tall: number): number {
  const pieces = Math.ceil((2 * m * n * k * batch) / mostOperations);
  return Math.max(1, Math.ceil(tall / Math.max(1, pieces)));
}
