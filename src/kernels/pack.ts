import packSource from '../../shaders/matmul_pack.wgsl';
import { type GpuBuffer, type GpuTexels, texelWidth } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

const kernel = { name: 'matmul_pack', source: packSource };

/** Steps of 4 k that a lane copies. */
const EACH = 8;

/** An operand of a product: `rows` are rows of A or columns of B. */
export interface PackedOperand {
  readonly rows: number;
  readonly k: number;
  readonly batch: number;
}

export interface PackOptions extends PackedOperand {
  /** [rows, k] of each batch entry, or [k, rows] if transposed; the inner length is a multiple of 4. */
  readonly x: GpuBuffer;
  readonly transposed: boolean;
  /** x holds halves. */
  readonly half: boolean;
  /** Elements from one batch entry to the next, a multiple of 4. */
  readonly stride: number;
}

/** Texels of one batch entry. */
export function packedTexels({ rows, k }: PackedOperand): number {
  return Math.ceil(rows / 8) * Math.ceil(k / 4) * 8;
}

/** Whether kernels can write and read texels here, and so many; only software adapters gain by it. */
export function packApplies(gpu: Gpu, ...operands: readonly PackedOperand[]): boolean {
  return (
    gpu.adapter.software &&
    gpu.adapter.readsTexels &&
    operands.every((operand) => packedTexels(operand) * operand.batch <= gpu.pool.mostTexels)
  );
}

/** Copies an operand into texels, [batch][rows / 8][k / 4][8], 4 k a texel; the caller releases them. */
export function pack(gpu: Gpu, { x, rows, k, batch, transposed, half, stride }: PackOptions): GpuTexels {
  const packed = gpu.pool.allocateTexels(packedTexels({ rows, k, batch }) * batch);
  gpu.run(kernel, {
    constants: {
      TRANSPOSED: Number(transposed),
      UPRIGHT: Number(!transposed),
      HALF: Number(half),
      FULL: Number(!half),
      EACH,
      WIDTH: texelWidth,
    },
    buffers: [x, packed],
    params: [rows, k, stride / 4],
    groups: [Math.ceil(k / 4 / EACH), Math.ceil(rows / (transposed ? 32 : 8)), batch],
  });
  return packed;
}
