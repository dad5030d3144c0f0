import naiveSource from '../../../shaders/matmul_naive.wgsl';
import knSource from '../../../shaders/matmul_subgroup_kn.wgsl';
import nkSource from '../../../shaders/matmul_subgroup_nk.wgsl';
import tnSource from '../../../shaders/matmul_subgroup_tn.wgsl';
import texelSource from '../../../shaders/matmul_texels.wgsl';
import tileSource from '../../../shaders/matmul_tile.wgsl';
import { type ActivationName, activationNumbers } from '../activation.ts';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { choose, sourceVersion } from '../device/tuning.ts';
import type { Constants } from '../device/wgsl.ts';
import { asTexels, type KeptLines, texelSources } from './texels.ts';
import {
  applicable,
  byRule,
  type MatmulShape,
  type MatmulVariant,
  operandsOf,
  type Tiling,
  tilings,
} from './variants.ts';

const naive = { name: 'matmul_naive', source: naiveSource };
const tile = { name: 'matmul_tile', source: tileSource };
const subgroupNk = { name: 'matmul_subgroup_nk', source: nkSource };
const subgroupKn = { name: 'matmul_subgroup_kn', source: knSource };
const subgroupTn = { name: 'matmul_subgroup_tn', source: tnSource };
const texels = { name: 'matmul_texels', source: texelSource };

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
  /** [k, n], or [n, k] with transposeB; one that is kept in texels has no batch. */
  readonly b: GpuBuffer | KeptLines;
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
  /** What a buffer B holds: float32, or halves (two to a word). */
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

function shapeOf(options: MatmulOptions): MatmulShape {
  const { b, m, n, k, transposeA = false, transposeB = false, batch = 1 } = options;
  const { strideA = m * k, strideB = k * n, bType = 'f32' } = options;
  const kept = isKept(b);
  const half = kept ? b.texels.format === 'rgba16float' : bType === 'f16';
  return { m, n, k, transposeA, transposeB, batch, strideA, strideB, half, kept };
}

const isKept = (b: GpuBuffer | KeptLines): b is KeptLines => 'texels' in b;

/** Which variants can compute this product on this adapter. */
export function applicableMatmuls(gpu: Gpu, options: MatmulOptions): MatmulVariant[] {
  return applicable(gpu, shapeOf(options));
}

/** out = act(op(A)·op(B) + bias) + residual. */
export function matmul(gpu: Gpu, options: MatmulOptions): void {
  const shape = shapeOf(options);
  launch(gpu, options, shape, options.variant ?? variantFor(gpu, shape));
}

function variantFor(gpu: Gpu, shape: MatmulShape): MatmulVariant {
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half, kept } = shape;
  const variants = applicable(gpu, shape);
  const layout = `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}${half ? 'h' : 'f'}${kept ? ' kept' : ''}`;
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

function launch(gpu: Gpu, operands: Operands, shape: MatmulShape, variant: MatmulVariant): void {
  const { a, b, out, bias, residual, preactivation } = operands;
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
  const BIAS = bias ? 1 : 0;
  const RESIDUAL = residual ? 1 : 0;
  const PREACTIVATION = preactivation ? 1 : 0;
  const ACTIVATION = activationNumbers[operands.activation ?? 'none'];
  const HALF_B = half ? 1 : 0;
  const ends = [bias, residual, out, preactivation].filter((buffer) => !!buffer);
  const tiling = tilings[variant];
  if (tiling?.texels) {
    const epilogue = { BIAS, RESIDUAL, PREACTIVATION, ACTIVATION };
    launchTexels(gpu, { a, b, ends }, shape, tiling, epilogue);
    return;
  }
  if (isKept(b)) throw new Error(`matmul ${variant} cannot read B from texels`);
  const buffers = [a, b, ...ends];
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
        TRANSPOSE_A: Number(transposeA),
        TRANSPOSE_B: Number(transposeB),
      },
      buffers,
      params: [m, n, k, strideA, strideB],
      groups: [Math.ceil(n / size), Math.ceil(m / size), batch],
    });
  } else {
    const constants = { BIAS, RESIDUAL, PREACTIVATION, ACTIVATION, HALF_B };
    gpu.run(transposeA ? subgroupTn : transposeB ? subgroupNk : subgroupKn, {
      constants: transposeA ? constants : { ...constants, OWN: tiling.own },
      buffers,
      params: [m, n, k, strideA / 4, strideB / 4],
      groups: [Math.ceil(n / (8 * tiling.columns)), Math.ceil(m / (8 * tiling.own)), batch],
    });
  }
}

/** Rows of A that are copied at once: a multiple of every tile's height. */
const blockOf = (gpu: Gpu) => Math.floor(gpu.pool.mostLines / 240) * 240;

/** From texels: of A always a copy, of B where it is not kept there; `ends` are the buffers that follow the factors. */
function launchTexels(
  gpu: Gpu,
  { a, b, ends }: Pick<Operands, 'a' | 'b'> & { readonly ends: readonly GpuBuffer[] },
  shape: MatmulShape,
  tiling: Tiling,
  epilogue: Constants,
): void {
  const { m, n, k, transposeB, batch, kept } = shape;
  const [rows, columns] = operandsOf(shape);
  withScratch(gpu, texels.name, (hold) => {
    const lines = isKept(b) ? b : { texels: hold(asTexels(gpu, { ...columns, buffer: b })), line: 0 };
    const halves = lines.texels.format === 'rgba16float' ? 1 : 0;
    const block = batch === 1 && m > gpu.pool.mostLines ? blockOf(gpu) : m;
    for (let first = 0; first < m; first += block) {
      const height = Math.min(block, m - first);
      withScratch(gpu, texels.name, (holdBlock) => {
        const copied = holdBlock(asTexels(gpu, { ...rows, rows: height, buffer: a }, first));
        gpu.run(texels, {
          constants: {
            ...epilogue,
            ...{ HALF_B: halves, OWN: tiling.own, COLS: tiling.columns },
            ...{ LINES: Number(transposeB), KEPT: Number(kept) },
          },
          buffers: [copied, lines.texels, ...ends],
          params: [
            ...[m, n, k, rows.batch! > 1 ? m : 0, columns.batch! > 1 ? columns.rows : 0],
            ...[lines.line, first, height],
          ],
          groups: [Math.ceil(height / (8 * tiling.own)), Math.ceil(n / (8 * tiling.columns)), batch],
        });
      });
    }
  });
}
