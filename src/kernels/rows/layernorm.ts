import source from '../../../shaders/layernorm.wgsl';
import backwardSource from '../../../shaders/layernorm_backward.wgsl';
import paramsSource from '../../../shaders/layernorm_backward_params.wgsl';
import naiveSource from '../../../shaders/layernorm_naive.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { columnSum, runsOf } from './reduce.ts';
import { type RowLaunch, type RowShape, type RowTiling, rowKernel } from './row-kernel.ts';

/** A software adapter pays for every turn of a loop, a GPU wants many independent rows instead. */
const tiling = (gpu: Gpu, { rows, width }: RowShape): RowTiling => ({
  VEC_SIZE: width % 4 === 0 ? 4 : 1,
  ROWS_PER_TURN: gpu.adapter.software && rows > 1 ? 2 : 1,
});

const forward = rowKernel('layernorm', source, {
  naive: naiveSource,
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [rows * width, width, width].map((elements) => ({ elements, type: 'f32' })),
    output: rows * width,
    args: ([x, gamma, beta], y) =>
      launchOf({ x: x!, affine: { gamma: gamma!, beta: beta! }, y, stats: null, eps: 1e-5 }),
  }),
});

const backward = rowKernel('layernorm_backward', backwardSource, {
  tiling,
  trial: ({ rows, width }) => ({
    inputs: [rows * width, 2 * rows, rows * width, width].map((elements) => ({ elements, type: 'f32' })),
    output: rows * width,
    args: ([x, stats, dy, gamma], dx) =>
      backwardLaunchOf({ x: x!, stats: stats!, dy: dy!, gamma: gamma!, residual: null, dx }),
  }),
});

const paramsKernel = { name: 'layernorm_backward_params', source: paramsSource };

/** γ and β, [width] each. */
export interface LayerNormAffine {
  readonly gamma: GpuBuffer;
  readonly beta: GpuBuffer;
}

export interface LayerNorm extends RowShape {
  /** [rows, width] */
  readonly x: GpuBuffer;
  readonly affine: LayerNormAffine | null;
  readonly y: GpuBuffer;
  /** [rows, 2]: mean and rstd, 1 / √(variance + eps), of each row, kept for the gradients if given. */
  readonly stats: GpuBuffer | null;
  readonly eps: number;
}

/** y = (x - mean) · rstd · γ + β over each row. */
export function layerNorm(gpu: Gpu, options: LayerNorm): void {
  forward.run(gpu, launchOf(options), options);
}

function launchOf({ x, affine, y, stats, eps }: Omit<LayerNorm, keyof RowShape>): RowLaunch {
  return {
    constants: { AFFINE: Number(affine !== null), STATS: Number(stats !== null) },
    buffers: [x, ...(affine ? [affine.gamma, affine.beta] : []), y, ...(stats ? [stats] : [])],
    params: [eps],
  };
}

/** What both gradients are made of. */
interface LayerNormSaved extends RowShape {
  readonly x: GpuBuffer;
  readonly stats: GpuBuffer;
  readonly dy: GpuBuffer;
}

export interface LayerNormBackward extends LayerNormSaved {
  readonly gamma: GpuBuffer | null;
  /** [rows, width], added to the gradient: what reached x by a residual connection. */
  readonly residual: GpuBuffer | null;
  readonly dx: GpuBuffer;
}

/** The gradient by x, [rows, width]. */
export function layerNormBackward(gpu: Gpu, options: LayerNormBackward): void {
  backward.run(gpu, backwardLaunchOf(options), options);
}

function backwardLaunchOf(options: Omit<LayerNormBackward, keyof RowShape>): RowLaunch {
  const { x, stats, dy, gamma, residual, dx } = options;
  return {
    constants: { AFFINE: Number(gamma !== null), RESIDUAL: Number(residual !== null) },
    buffers: [x, stats, dy, ...(gamma ? [gamma] : []), ...(residual ? [residual] : []), dx],
  };
}

export interface LayerNormBackwardParams extends LayerNormSaved {
  /** [width] */
  readonly dgamma: GpuBuffer;
  readonly dbeta: GpuBuffer;
}

/** The gradients by γ and β. */
export function layerNormBackwardParams(gpu: Gpu, options: LayerNormBackwardParams): void {
  const { x, stats, dy, rows, width, dgamma, dbeta } = options;
  const { run, runs } = runsOf(rows);
  withScratch(gpu, paramsKernel.name, (hold) => {
    const partial = (out: GpuBuffer) => (runs === 1 ? out : hold(gpu.pool.allocate(4 * runs * width)));
    const [partialGamma, partialBeta] = [partial(dgamma), partial(dbeta)];
    gpu.run(paramsKernel, {
      buffers: [x, stats, dy, partialGamma, partialBeta],
      params: [rows, width, run],
      groups: [Math.ceil(width / 32), runs],
    });
    if (runs === 1) return;
    columnSum(gpu, { x: partialGamma, out: dgamma, rows: runs, width });
    columnSum(gpu, { x: partialBeta, out: dbeta, rows: runs, width });
  });
}
