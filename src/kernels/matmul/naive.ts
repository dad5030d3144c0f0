import source from '../../../shaders/matmul_naive.wgsl';
import type { Variant } from '../variant.ts';
import { constantsOf, type MatmulOperands, type MatmulShape, operandBuffers } from './shape.ts';

const kernel = { name: 'matmul_naive', source };

/** One lane an element, any strides: the oracle, and the one for products too small to compile a large kernel for. */
export const naive: Variant<MatmulShape, MatmulOperands> = {
  name: 'naive',
  sources: [source],
  applies: (_gpu, { interleaved }) => !interleaved,

  // On a GPU a rank. On a processor, where compiling a large kernel takes LLVM a second, nothing below a fraction of a millisecond
  // of work is worth one; beyond that, nanoseconds above what any tile of registers comes to (8 a multiply-add, half empty).
  cost({ adapter: { software } }, { m, n, k, batch }) {
    if (!software) return m * n < 1024 ? 0 : 3;
    return n < 8 || m * n * k < 65536 ? 0 : 16 * m * n * k * batch;
  },

  launch(gpu, operands, shape) {
    const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
    const strides = [transposeA ? 1 : k, transposeA ? m : 1, transposeB ? 1 : n, transposeB ? k : 1];
    gpu.run(kernel, {
      constants: constantsOf(operands, { HALF_B: Number(half) }),
      buffers: operandBuffers(operands),
      params: [m, n, k, ...strides, strideA, strideB],
      groups: [Math.ceil(n / 8), Math.ceil(m / 8), batch],
    });
  },
};
