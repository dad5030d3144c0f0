import type { Gpu } from '../device/gpu.ts';
import { classOf } from '../device/tuning.ts';
import { family } from '../variant.ts';
import { few, mostFew } from './few.ts';
import { naive } from './naive.ts';
import { PackedWeight } from './packed-weight.ts';
import { type MatmulOperands, type MatmulOptions, type MatmulShape, type NormOfA, shapeOf } from './shape.ts';
import { simd } from './simd.ts';
import { textures } from './simd-texture.ts';
import { tiles } from './tile.ts';
import { trial } from './trial.ts';

export type { ActivationInput, MatmulOptions, NormOfA } from './shape.ts';

const products = family<MatmulShape, MatmulOperands>({
  name: 'matmul',
  variants: [naive, ...tiles, few, ...simd, ...textures],

  key({ m, n, k, transposeA, transposeB, batch, strideA, strideB, half, interleaved }) {
    const layout = `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}${half ? 'h' : 'f'}${interleaved ? ' interleaved' : ''}`;
    // Where entries of a batch follow one another at their own distance, that decides what can be read at once.
    const dense = strideA === m * k && strideB === k * n;
    const entries = batch > 1 ? ` ${classOf(batch)}*${dense ? '' : `${strideA},${strideB}`}` : '';
    return `${layout} ${classOf(m)}x${k}x${n}${entries}`;
  },

  trial,
});

/** Of all variants, those that few adapters take included. */
export const matmulVariants = products.names;

/** Which variants can compute this product on this adapter. */
export function applicableMatmuls(gpu: Gpu, options: MatmulOptions): string[] {
  return products.variants(gpu, shapeOf(options)).map(({ name }) => name);
}

/** Rows that a layer norm may become part of a product of: on GPUs, where launches count. */
export const mayTakeNorm = ({ adapter }: Gpu, rows: number): boolean => !adapter.software && rows <= mostFew;

/**
 * Whether this product, by the variant that computes it here, takes a layer norm of A's rows, or the gradient of one, on its way; the
 * buffers of both must fit into what a launch binds.
 */
export function takesNorm(gpu: Gpu, options: MatmulOptions, of: NormOfA['of']): boolean {
  const { variant, m, batch = 1, bias, residual, preactivation, derivative } = options;
  if (batch > 1 || !mayTakeNorm(gpu, m)) return false;
  const others = [bias, residual, preactivation, derivative].filter((one) => one).length;
  if (3 + others + (of === 'rows' ? 3 : 4) > gpu.limits.maxStorageBuffersPerShaderStage) return false;
  return (variant ?? products.choose(gpu, shapeOf(options)).name) === few.name;
}

/** out = act(op(A)·op(B) + bias) + residual, or, with `derivative`, (op(A)·op(B)) ∘ act'(x). */
export function matmul(gpu: Gpu, options: MatmulOptions): void {
  const {
    a,
    b,
    out,
    bias = null,
    residual = null,
    preactivation = null,
    activation = 'none',
    derivative = null,
    norm = null,
    variant,
  } = options;
  if (norm && !takesNorm(gpu, options, norm.of))
    throw new Error('this product takes no layer norm on its way');
  const operand = b instanceof PackedWeight ? b.operand : b;
  products.run(
    gpu,
    { a, b: operand, out, bias, residual, activation, preactivation, derivative, norm },
    shapeOf(options),
    variant,
  );
}
