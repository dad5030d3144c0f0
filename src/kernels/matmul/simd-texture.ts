import source from '../../../shaders/matmul_simd_texture.wgsl';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { canReadTextures, copyToTexture, isCopyable, textureSources } from '../matrix-texture.ts';
import type { Variant } from '../variant.ts';
import { constantsOf, epilogueBuffers, type MatmulOperands, type MatmulShape } from './shape.ts';

const kernel = { name: 'matmul_simd_texture', source };

/** Rows of A that are copied at once: a multiple of every tile's height. */
const blockOf = (gpu: Gpu) => Math.floor(gpu.textures.maxRows / 240) * 240;

/** Register tiles as the simd variants have them, from operands copied into textures; the only ones for a B that is kept in one. */
export const textures = (
  [
    [2, 4],
    [3, 4],
    [5, 4],
    [5, 8],
  ] as const
).map(
  ([rows, columns]): Variant<MatmulShape, MatmulOperands> => ({
    name: `texture${8 * rows}x${8 * columns}`,
    sources: [...textureSources, source],

    applies(gpu, { m, aligned, interleaved, matrixA, matrixB }) {
      // A tile that is mostly beyond the product is none to choose.
      if (8 * rows >= m + 16) return false;
      return interleaved || (aligned && canReadTextures(gpu, matrixA, matrixB));
    },

    // Nanoseconds of one lavapipe thread: as the simd variants', but with loads of 18; and the copies, which have a start of their own.
    cost(_gpu, { m, n, k, batch, interleaved, matrixA, matrixB }) {
      const step = (rows + columns) * 18 + 32 * rows * (0.7 + 0.3 * columns);
      const tiles = Math.ceil(m / (8 * rows)) * Math.ceil(n / (8 * columns)) * batch;
      const copied = (interleaved ? [matrixA] : [matrixA, matrixB]).map(
        (matrix) =>
          60000 + ((matrix.rows * matrix.length * matrix.batch) / 4) * (isCopyable(matrix) ? 4.4 : 26),
      );
      return tiles * (k / 4) * step + copied.reduce((sum, one) => sum + one);
    },

    /** Of A always a copy, of B where it is not interleaved. */
    launch(gpu, operands, { m, n, k, transposeB, batch, interleaved, matrixA, matrixB }) {
      const { a, b } = operands;
      withScratch(gpu, kernel.name, (hold) => {
        const packed = 'texture' in b ? b : { texture: hold(copyToTexture(gpu, b, matrixB)), row: 0 };
        const block = batch === 1 && m > gpu.textures.maxRows ? blockOf(gpu) : m;
        const rowsOfA = (height: number) => (height === m ? matrixA : { ...matrixA, rows: height });
        for (let first = 0; first < m; first += block) {
          const height = Math.min(block, m - first);
          withScratch(gpu, kernel.name, (holdBlock) => {
            const copied = holdBlock(copyToTexture(gpu, a, rowsOfA(height), first));
            gpu.run(kernel, {
              constants: constantsOf(operands, {
                HALF_B: Number(packed.texture.format === 'rgba16float'),
                ROWS_PER_LANE: rows,
                COLS_PER_LANE: columns,
                TRANSPOSE_B: Number(transposeB),
                INTERLEAVED: Number(interleaved),
              }),
              buffers: [copied, packed.texture, ...epilogueBuffers(operands)],
              params: [
                ...[m, n, k, matrixA.batch > 1 ? m : 0, matrixB.batch > 1 ? matrixB.rows : 0],
                ...[packed.row, first, height],
              ],
              groups: [Math.ceil(height / (8 * rows)), Math.ceil(n / (8 * columns)), batch],
            });
          });
        }
      });
    },
  }),
);
