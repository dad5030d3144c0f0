import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Constants } from '../device/wgsl.ts';
import type { MatrixLayout } from '../matrix-texture.ts';
import { type ActivationName, unaryNumbers } from '../unary.ts';
import { type InterleavedRows, PackedWeight } from './packed-weight.ts';

/** An activation, and what it was applied to. */
export interface ActivationInput {
  readonly activation: ActivationName;
  /** [m, n] */
  readonly x: GpuBuffer;
}

/** What A's rows are made of as they are read: a layer norm of them, or, of the gradient by its output, that by its input. */
export type NormOfA =
  | {
      readonly of: 'rows';
      /** [k] */
      readonly gamma: GpuBuffer;
      readonly beta: GpuBuffer;
      readonly eps: number;
      /** [m, 2]: mean and rstd of each row, written. */
      readonly stats: GpuBuffer;
    }
  | {
      readonly of: 'gradient';
      readonly gamma: GpuBuffer;
      readonly eps: number;
      /** [m, k]: what the norm was taken of. */
      readonly x: GpuBuffer;
      /** [m, k], added to the gradient. */
      readonly residual: GpuBuffer | null;
      /** [m, k]: the gradient, written. */
      readonly dx: GpuBuffer;
    };

export interface MatmulOptions {
  /** [m, k], or [k, m] with transposeA; f32. */
  readonly a: GpuBuffer;
  /** [k, n], or [n, k] with transposeB; a packed weight has no batch. */
  readonly b: GpuBuffer | PackedWeight;
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
  /** What a buffer B holds: float32, or halves (two to a word). A packed weight knows. */
  readonly bType?: 'f32' | 'f16';
  /** [n] */
  readonly bias?: GpuBuffer | null;
  /** [m, n], added after the activation. */
  readonly residual?: GpuBuffer | null;
  readonly activation?: ActivationName;
  /** [m, n]: also keep the value before the activation, for its gradient. */
  readonly preactivation?: GpuBuffer | null;
  /** Multiplies the sums by the activation's derivative there, which makes of an output's gradient the input's. */
  readonly derivative?: ActivationInput | null;
  /** Only where {@link takesNorm} says so. */
  readonly norm?: NormOfA | null;
  /** Runs this variant, which must be one that applies, instead of the measured or default one. */
  readonly variant?: string;
}

type Epilogue = 'bias' | 'residual' | 'activation' | 'preactivation' | 'derivative';

/** What a launch binds, and what is fused into it. */
export interface MatmulOperands extends Pick<MatmulOptions, 'a' | 'out' | 'norm' | Epilogue> {
  readonly b: GpuBuffer | InterleavedRows;
}

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
  /** Rows as they lie can be read by vec4: of A along k, or m where it is transposed, of B along n, or k. */
  readonly aligned: boolean;
  /** B stands in a texture, its rows interleaved. */
  readonly interleaved: boolean;
  /** A and B as a texture takes them: A's rows run along k, and B's as it lies. */
  readonly matrixA: MatrixLayout & { readonly batch: number };
  readonly matrixB: MatrixLayout & { readonly batch: number };
}

export function shapeOf(options: MatmulOptions): MatmulShape {
  const { b, m, n, k, transposeA = false, transposeB = false, batch = 1 } = options;
  const { strideA = m * k, strideB = k * n, bType = 'f32' } = options;
  const packed = b instanceof PackedWeight;
  const half = (packed ? b.type : bType) === 'f16';
  const [rows, length] = transposeB ? [n, k] : [k, n];
  return {
    m,
    n,
    k,
    transposeA,
    transposeB,
    batch,
    strideA,
    strideB,
    half,
    aligned: ((transposeA ? m : k) | (transposeB ? k : n) | strideA | strideB) % 4 === 0,
    interleaved: packed && b.interleaved,
    matrixA: {
      rows: m,
      length: k,
      batch: strideA === 0 ? 1 : batch,
      transposed: transposeA,
      stride: strideA,
    },
    matrixB: { rows, length, batch: strideB === 0 ? 1 : batch, half, stride: strideB },
  };
}

/** A variant's own constants and those of lib_matmul_store.wgsl, with which every product ends. */
export function constantsOf(operands: MatmulOperands, own: Constants): Constants {
  const { bias, residual, preactivation, activation = 'none', derivative } = operands;
  return {
    BIAS: bias ? 1 : 0,
    RESIDUAL: residual ? 1 : 0,
    PREACTIVATION: preactivation ? 1 : 0,
    ACTIVATION: unaryNumbers[activation],
    DERIVATIVE: derivative ? unaryNumbers[derivative.activation] : 0,
    ...own, // last: V8 takes microseconds where a spread comes first
  };
}

/** The buffers that follow A and B, in the order of their bindings. */
export function epilogueBuffers({
  bias,
  residual,
  out,
  preactivation,
  derivative,
  norm,
}: MatmulOperands): GpuBuffer[] {
  const buffers = [];
  if (bias) buffers.push(bias);
  if (residual) buffers.push(residual);
  buffers.push(out);
  if (preactivation) buffers.push(preactivation);
  if (derivative) buffers.push(derivative.x);
  if (norm?.of === 'rows') buffers.push(norm.gamma, norm.beta, norm.stats);
  if (norm?.of === 'gradient') {
    buffers.push(norm.gamma, norm.x);
    if (norm.residual) buffers.push(norm.residual);
    buffers.push(norm.dx);
  }
  return buffers;
}

/** All buffers, in the order of their bindings, of a launch whose B is not interleaved. */
export function operandBuffers(operands: MatmulOperands): GpuBuffer[] {
  return [operands.a, operands.b as GpuBuffer, ...epilogueBuffers(operands)];
}
