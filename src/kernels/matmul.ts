import naiveSource from '../../shaders/matmul_naive.wgsl';
import knSource from '../../shaders/matmul_subgroup_kn.wgsl';
import nkSource from '../../shaders/matmul_subgroup_nk.wgsl';
import { type ActivationName, activationNumbers, withActivations } from './activation.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';

const naive = { name: 'matmul_naive', source: withActivations(naiveSource) };
const subgroupNk = { name: 'matmul_subgroup_nk', source: withActivations(nkSource) };
const subgroupKn = { name: 'matmul_subgroup_kn', source: withActivations(knSource) };

export interface MatmulOptions {
  /** [m, k], or [k, m] with transposeA; f32. */
  readonly a: GpuBuffer;
  /** [k, n], or [n, k] with transposeB. */
  readonly b: GpuBuffer;
  /** [m, n] of each batch entry, f32. */
  readonly out: GpuBuffer;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly batch?: number;
  /** Elements from one batch entry to the next; 0: shared. By default dense. */
  readonly strideA?: number;
  readonly strideB?: number;
  /** Storage of B: float32, or halves (two to a word). */
  readonly bType?: 'f32' | 'f16';
  /** [n] */
  readonly bias?: GpuBuffer | null;
  /** [m, n], added after the activation. */
  readonly residual?: GpuBuffer | null;
  readonly activation?: ActivationName;
  /** [m, n]: also keep the value before the activation, for its gradient. */
  readonly preactivation?: GpuBuffer | null;
  readonly variant?: MatmulVariant;
}

export const matmulVariants = ['naive', 'subgroup'] as const;
export type MatmulVariant = (typeof matmulVariants)[number];

/** Which variants can compute this product. */
export function applicableMatmuls(gpu: Gpu, options: MatmulOptions): MatmulVariant[] {
  const { k, n, transposeA, transposeB, strideA = 0, strideB = 0 } = options;
  const aligned = k % 4 === 0 && (transposeB || n % 4 === 0) && strideA % 4 === 0 && strideB % 4 === 0;
  const subgroup = gpu.has('subgroups') && gpu.adapter.subgroupMin >= 8 && !transposeA && aligned;
  return subgroup ? ['naive', 'subgroup'] : ['naive'];
}

/** out = act(op(A)·op(B) + bias) + residual. */
export function matmul(gpu: Gpu, options: MatmulOptions): void {
  const { a, b, out, m, n, k, transposeA, transposeB, bias, residual, preactivation } = options;
  const batch = options.batch ?? 1;
  const strideA = options.strideA ?? m * k;
  const strideB = options.strideB ?? k * n;
  const half = options.bType === 'f16';
  const constants = {
    BIAS: Number(Boolean(bias)),
    RESIDUAL: Number(Boolean(residual)),
    PREACTIVATION: Number(Boolean(preactivation)),
    ACTIVATION: activationNumbers[options.activation ?? 'none'],
    HALF_B: Number(half),
  };
  const buffers = [
    a,
    b,
    ...(bias ? [bias] : []),
    ...(residual ? [residual] : []),
    out,
    ...(preactivation ? [preactivation] : []),
  ];
  const variant = options.variant ?? applicableMatmuls(gpu, { ...options, strideA, strideB }).at(-1)!;
  if (variant === 'naive') {
    gpu.run(naive, {
      constants,
      buffers,
      params: [
        m,
        n,
        k,
        transposeA ? 1 : k,
        transposeA ? m : 1,
        transposeB ? 1 : n,
        transposeB ? k : 1,
        strideA,
        strideB,
      ],
      groups: [Math.ceil(n / 8), Math.ceil(m / 8), batch],
    });
    return;
  }
  gpu.run(transposeB ? subgroupNk : subgroupKn, {
    constants: { ...constants, FULL_B: Number(!half) },
    buffers,
    params: [m, n, k, strideA / 4, strideB / 4],
    groups: [Math.ceil(n / 32), Math.ceil(m / 16), batch],
  });
}
