import type { Gpu } from '../device/gpu.ts';
import { copies, type LinesInBuffer, texelsApply } from './texels.ts';

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
export interface MatmulShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly batch: number;
  readonly strideA: number;
  readonly strideB: number;
  readonly half: boolean;
  /** B is kept in texels. */
  readonly kept: boolean;
}

/** Which variants can compute a product on this adapter. */
export function applicable(gpu: Gpu, shape: MatmulShape): MatmulVariant[] {
  const { m, n, k, transposeA, transposeB, strideA, strideB, kept } = shape;
  if (kept) return texelVariants(m);
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
  if (texelsApply(gpu, ...operandsOf(shape))) variants.push(...texelVariants(m));
  return variants;
}

/** Those whose tile is not much higher than the product. */
function texelVariants(m: number): MatmulVariant[] {
  return matmulVariants.filter((variant) => {
    const tiling = tilings[variant];
    return tiling?.texels && 8 * tiling.own < m + 16;
  });
}

/** A and B as the texels take them: A's lines run along k, and B's as it lies. */
export function operandsOf(
  shape: MatmulShape,
): [Omit<LinesInBuffer, 'buffer'>, Omit<LinesInBuffer, 'buffer'>] {
  const { m, n, k, transposeA, transposeB, batch, strideA, strideB, half } = shape;
  const [rows, length] = transposeB ? [n, k] : [k, n];
  return [
    { rows: m, length: k, batch: strideA === 0 ? 1 : batch, transposed: transposeA, stride: strideA },
    { rows, length, batch: strideB === 0 ? 1 : batch, half, stride: strideB },
  ];
}

/** The rule of thumb where nothing was measured. */
export function byRule(gpu: Gpu, shape: MatmulShape, variants: readonly MatmulVariant[]): MatmulVariant {
  const { m, n, k } = shape;
  if (!gpu.adapter.software) {
    if (m * n < 1024) return 'naive';
    // Large tiles reuse more, but need enough of them to fill the device.
    return m >= 512 && n >= 512 && variants.includes('tile128') ? 'tile128' : 'tile64';
  }
  // Below a fraction of a millisecond of work, compiling a large kernel (a second of LLVM) never pays.
  if (!shape.kept && (n < 8 || m * n * k < 65536)) return 'naive';
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
export interface Tiling {
  readonly own: number;
  readonly columns: number;
  readonly texels: boolean;
}

/** Of the variants that keep their tile in registers. */
export const tilings: { readonly [V in MatmulVariant]?: Tiling } = {
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
function costOf({ own, columns, texels }: Tiling, shape: MatmulShape): number {
  const { m, n, k, batch, kept } = shape;
  const step = (own + columns) * (texels ? 18 : 35) + 32 * own * (0.7 + 0.3 * columns);
  const tiles = Math.ceil(m / (8 * own)) * Math.ceil(n / (8 * columns)) * batch;
  const copied = operandsOf(shape).map(
    (operand) =>
      60000 + ((operand.rows * operand.length * operand.batch!) / 4) * (copies(operand) ? 4.4 : 26),
  );
  return tiles * (k / 4) * step + (texels ? copied[0]! + (kept ? 0 : copied[1]!) : 0);
}
