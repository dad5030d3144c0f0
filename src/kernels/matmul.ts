import scalarOperands from '../../shaders/lib_matmul_scalars.wgsl';
import storeLibrary from '../../shaders/lib_matmul_store.wgsl';
import vectorOperands from '../../shaders/lib_matmul_vectors.wgsl';
import naiveSource from '../../shaders/matmul_naive.wgsl';
import knSource from '../../shaders/matmul_subgroup_kn.wgsl';
import nkSource from '../../shaders/matmul_subgroup_nk.wgsl';
import tnSource from '../../shaders/matmul_subgroup_tn.wgsl';
import texelSource from '../../shaders/matmul_texels.wgsl';
import tileSource from '../../shaders/matmul_tile.wgsl';
import { type ActivationName, activationNumbers, withActivations } from './activation.ts';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { asTexels, copies, type LinesInBuffer, texelSources, texelsApply } from './texels.ts';
import { choose, sourceVersion } from './tuning.ts';

/** A kernel with the operands it reads and the end they all have. */
const product = (name: string, source: string, operands: string) => ({
  name,
  source: withActivations(`${source}\n${operands}\n${storeLibrary}`),
});

const naive = product('matmul_naive', naiveSource, scalarOperands);
const tile = product('matmul_tile', tileSource, scalarOperands);
const subgroupNk = product('matmul_subgroup_nk', nkSource, vectorOperands);
const subgroupKn = product('matmul_subgroup_kn', knSource, vectorOperands);
const subgroupTn = product('matmul_subgroup_tn', tnSource, vectorOperands);
const texels = product('matmul_texels', texelSource, '');

const family = {
  name: 'matmul',
  version: sourceVersion(
    ...texelSources,
    ...[naive, tile, subgroupNk, subgroupKn, subgroupTn, texels].map(({ source }) => source),
  ),
};

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
  /** Runs this variant, which must be one that applies, instead of the measured or default one. */
  readonly variant?: MatmulVariant;
}

/**
 * `tile64` is a shared-memory tile of 64 x 64, `subgroup16` a register tile of 16 rows, `texels40x64` one of 40 x 64 from
 * operands in texels; see their shaders.
 */
export const matmulVariants = [
  'naive',
  'tile64',
  'tile128',
  'subgroup8',
  'subgroup16',
  'subgroup24',
  'subgroup32',
  'subgroup40',
  'texels16x32',
  'texels24x32',
  'texels40x32',
  'texels40x64',
] as const;
export type MatmulVariant = (typeof matmulVariants)[number];

/** A product's size and layout, with nothing left to default. */
interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly batch: number;
  readonly strideA: number;
  readonly strideB: number;
  readonly half: boolean;
}

function shapeOf(options: MatmulOptions): Shape {
  const { m, n, k, transposeA = false, transposeB = false, batch = 1 } = options;
  const { strideA = m * k, strideB = k * n, bType = 'f32' } = options;
  return { m, n, k, transposeA, transposeB, batch, strideA, strideB, half: bType === 'f16' };
}

/** Which variants can compute this product on this adapter. */
export function applicableMatmuls(gpu: Gpu, options: MatmulOptions): MatmulVariant[] {
  return applicable(gpu, shapeOf(options));
}

function applicable(gpu: Gpu, shape: Shape): MatmulVariant[] {
  const { m, n, k, transposeA, transposeB, strideA, strideB } = shape;
  const variants: MatmulVariant[] = ['naive', 'tile64'];
  if (!gpu.adapter.software) variants.push('tile128');
  // Vector loads of A run along k, or along m where it is transposed; of B along n, or along k.
  const lengths = [transposeA ? m : k, transposeB ? k : n, strideA, strideB];
  const aligned = lengths.every((length) => length % 4 === 0);
  if (!gpu.has('subgroups') || gpu.adapter.subgroupMin < 8 || !aligned) return variants;
  if (!transposeA) {
    for (const rows of ['8', '16', '24', '32', '40'] as const)
      if (Number(rows) < m + 8) variants.push(`subgroup${rows}`);
  } else if (!transposeB) variants.push('subgroup32');
  if (texelsApply(gpu, ...operandsOf(shape)))
    for (const variant of matmulVariants) {
      const tiling = tilings[variant];
      if (tiling?.texels && 8 * tiling.own < m + 16) variants.push(variant);
    }
  return variants;
}

/** A and B as the texels take them: A's lines run along k, and B's as it lies. */
function operandsOf(shape: Shape): [Omit<LinesInBuffer, 'buffer'>, Omit<LinesInBuffer, 'buffer'>] {
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
  const [rows, length] = transposeB ? [n, k] : [k, n];
  return [
    { rows: m, length: k, batch: strideA === 0 ? 1 : batch, transposed: transposeA, stride: strideA },
    { rows, length, batch: strideB === 0 ? 1 : batch, half, stride: strideB },
  ];
}

/** The rule of thumb where nothing was measured. */
function byRule(gpu: Gpu, shape: Shape, variants: readonly MatmulVariant[]): MatmulVariant {
  const { m, n, k } = shape;
  if (!gpu.adapter.software) {
    if (m * n < 1024) return 'naive';
    // Large tiles reuse more, but need enough of them to fill the device.
    return m >= 512 && n >= 512 && variants.includes('tile128') ? 'tile128' : 'tile64';
  }
  // Below a fraction of a millisecond of work, compiling a large kernel (a second of LLVM) never pays.
  if (n < 8 || m * n * k < 65536) return 'naive';
  let best: MatmulVariant = m * n < 4096 ? 'naive' : 'tile64';
  let least = Number.POSITIVE_INFINITY;
  for (const variant of variants) {
    if (!tilings[variant]) continue;
    const cost = costOf(tilings[variant], shape);
    if (cost < least) {
      least = cost;
      best = variant;
    }
  }
  return best;
}

/** A register tile of 8·own rows x 8·columns columns, a multiple of 32. */
interface Tiling {
  readonly own: number;
  readonly columns: number;
  readonly texels: boolean;
}

/** Of the variants that keep their tile in registers. */
const tilings: { readonly [V in MatmulVariant]?: Tiling } = {
  subgroup8: { own: 1, columns: 4, texels: false },
  subgroup16: { own: 2, columns: 4, texels: false },
  subgroup24: { own: 3, columns: 4, texels: false },
  subgroup32: { own: 4, columns: 4, texels: false },
  subgroup40: { own: 5, columns: 4, texels: false },
  texels16x32: { own: 2, columns: 4, texels: true },
  texels24x32: { own: 3, columns: 4, texels: true },
  texels40x32: { own: 5, columns: 4, texels: true },
  texels40x64: { own: 5, columns: 8, texels: true },
};

/**
 * Nanoseconds of one lavapipe thread, of two: a loop step's loads (35 from a buffer, 18 from texels), broadcasts and
 * multiply-adds; and the copies, which have a start of their own.
 */
function costOf({ own, columns, texels }: Tiling, shape: Shape): number {
  const { m, n, k, batch } = shape;
  const step = (own + columns) * (texels ? 18 : 35) + 32 * own * (0.7 + 0.3 * columns);
  const tiles = Math.ceil(m / (8 * own)) * Math.ceil(n / (8 * columns)) * batch;
  const copied = operandsOf(shape).map(
    (operand) =>
      60000 + ((operand.rows * operand.length * operand.batch!) / 4) * (copies(operand) ? 4.4 : 26),
  );
  return tiles * (k / 4) * step + (texels ? copied[0]! + copied[1]! : 0);
}

/** out = act(op(A)·op(B) + bias) + residual. */
export function matmul(gpu: Gpu, options: MatmulOptions): void {
  const shape = shapeOf(options);
  launch(gpu, options, shape, options.variant ?? variantFor(gpu, shape));
}

function variantFor(gpu: Gpu, shape: Shape): MatmulVariant {
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
  const variants = applicable(gpu, shape);
  const layout = `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}${half ? 'h' : 'f'}`;
  const key = `${layout} ${m}x${k}x${n}${batch > 1 ? ` ${batch}*${strideA},${strideB}` : ''}`;
  return choose(gpu, family, key, variants, byRule(gpu, shape, variants), () => ({
    inputs: [
      { elements: (batch - 1) * strideA + m * k, type: 'f32' },
      { elements: (batch - 1) * strideB + k * n, type: half ? 'f16' : 'f32' },
    ],
    output: batch * m * n,
    reference: 'naive',
    tolerance: 1e-4,
    run: (variant, [a, b], out) => launch(gpu, { a: a!, b: b!, out }, shape, variant as MatmulVariant),
  })) as MatmulVariant;
}

type Operands = Pick<MatmulOptions, 'a' | 'b' | 'out' | 'bias' | 'residual' | 'activation' | 'preactivation'>;

function launch(gpu: Gpu, operands: Operands, shape: Shape, variant: MatmulVariant): void {
  const { a, b, out, bias, residual, preactivation } = operands;
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
  const BIAS = bias ? 1 : 0;
  const RESIDUAL = residual ? 1 : 0;
  const PREACTIVATION = preactivation ? 1 : 0;
  const ACTIVATION = activationNumbers[operands.activation ?? 'none'];
  const HALF_B = half ? 1 : 0;
  const ends = [bias, residual, out, preactivation].filter((buffer) => !!buffer);
  const buffers = [a, b, ...ends];
  const tiling = tilings[variant];
  if (variant === 'naive') {
    const strides = [transposeA ? 1 : k, transposeA ? m : 1, transposeB ? 1 : n, transposeB ? k : 1];
    gpu.run(naive, {
      constants: { BIAS, RESIDUAL, PREACTIVATION, ACTIVATION, HALF_B },
      buffers,
      params: [m, n, k, ...strides, strideA, strideB],
      groups: [Math.ceil(n / 8), Math.ceil(m / 8), batch],
    });
  } else if (!tiling) {
    const size = variant === 'tile64' ? 64 : 128;
    gpu.run(tile, {
      constants: {
        BIAS,
        RESIDUAL,
        PREACTIVATION,
        ACTIVATION,
        HALF_B,
        TILE: size,
        PER: size / 16,
        TRANSPOSE_A: Number(transposeA),
        TRANSPOSE_B: Number(transposeB),
      },
      buffers,
      params: [m, n, k, strideA, strideB],
      groups: [Math.ceil(n / size), Math.ceil(m / size), batch],
    });
  } else if (tiling.texels) {
    const [rows, columns] = operandsOf(shape);
    const texelsA = asTexels(gpu, { ...rows, buffer: a });
    const texelsB = asTexels(gpu, { ...columns, buffer: b });
    const halves = texelsB.format === 'rgba16float' ? 1 : 0;
    gpu.run(texels, {
      constants: {
        ...{ BIAS, RESIDUAL, PREACTIVATION, ACTIVATION, HALF_B: halves, FULL_B: 1 - halves },
        ...{ OWN: tiling.own, COLS: tiling.columns, GROUPS: tiling.columns / 4 },
        ...{ LINES: Number(transposeB), COLUMNS: Number(!transposeB) },
      },
      buffers: [texelsA, texelsB, ...ends],
      params: [m, n, k, rows.batch! > 1 ? rows.rows : 0, columns.batch! > 1 ? columns.rows : 0],
      groups: [Math.ceil(m / (8 * tiling.own)), Math.ceil(n / (8 * tiling.columns)), batch],
    });
    gpu.pool.release(texelsA);
    gpu.pool.release(texelsB);
  } else {
    const constants = { BIAS, RESIDUAL, PREACTIVATION, ACTIVATION, HALF_B, FULL_B: 1 - HALF_B };
    gpu.run(transposeA ? subgroupTn : transposeB ? subgroupNk : subgroupKn, {
      constants: transposeA ? constants : { ...constants, OWN: tiling.own },
      buffers,
      params: [m, n, k, strideA / 4, strideB / 4],
      groups: [Math.ceil(n / (8 * tiling.columns)), Math.ceil(m / (8 * tiling.own)), batch],
    });
  }
}
