import dgammaSource from '../../../shaders/layernorm_dgamma.wgsl';
import dxSource from '../../../shaders/layernorm_dx.wgsl';
import forwardSource from '../../../shaders/layernorm_fwd.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { rowRuns, sumRows } from './reduce.ts';
import { chooseRowSharing, type RowSharing, rowBundle, rowKernel, rowLaunch } from './sharing.ts';

const forwardKernel = rowKernel('layernorm_fwd', forwardSource);
const dxKernel = rowKernel('layernorm_dx', dxSource);
const dgammaKernel = { name: 'layernorm_dgamma', source: dgammaSource };

/** γ and β, [width] each. */
export interface LayerNormAffine {
  readonly gamma: GpuBuffer;
  readonly beta: GpuBuffer;
}

export interface LayerNormForward {
  /** [rows, width] */
  readonly x: GpuBuffer;
  readonly affine: LayerNormAffine | null;
  readonly y: GpuBuffer;
  /** [rows, 2]: mean and 1/deviation of each row, kept for the gradients if given. */
  readonly moments: GpuBuffer | null;
  readonly rows: number;
  readonly width: number;
  readonly eps: number;
  readonly sharing?: RowSharing;
}

export function layerNormForward(gpu: Gpu, options: LayerNormForward): void {
  const { x, affine, y, moments, rows, width, eps } = options;
  const elements = rows * width;
  const bundle = rowBundle(gpu, rows);
  const chosen =
    options.sharing ??
    chooseRowSharing(gpu, forwardKernel, [rows, width, bundle], () => ({
      inputs: [elements, width, width].map((count) => ({ elements: count, type: 'f32' })),
      output: elements,
      run: (sharing, [a, gamma, beta], out) =>
        layerNormForward(gpu, {
          ...{ x: a!, affine: { gamma: gamma!, beta: beta! }, y: out, moments: null, rows, width, eps },
          sharing: sharing as RowSharing,
        }),
    }));
  const { sharing, constants, groups } = rowLaunch(gpu, rows, chosen, bundle);
  gpu.run(forwardKernel[sharing], {
    constants: {
      ...constants,
      WIDE: width % 4 === 0 ? 4 : 1,
      BUNDLE: bundle,
      AFFINE: Number(affine !== null),
      KEEP: Number(moments !== null),
    },
    buffers: [x, ...(affine ? [affine.gamma, affine.beta] : []), y, ...(moments ? [moments] : [])],
    params: [rows, width, eps],
    groups,
  });
}

export interface LayerNormBackward {
  readonly x: GpuBuffer;
  readonly moments: GpuBuffer;
  readonly dy: GpuBuffer;
  readonly rows: number;
  readonly width: number;
}

export interface LayerNormDx extends LayerNormBackward {
  readonly gamma: GpuBuffer | null;
  /** [rows, width], added to the gradient: what reached x by a residual connection. */
  readonly residual: GpuBuffer | null;
  readonly dx: GpuBuffer;
  readonly sharing?: RowSharing;
}

/** The gradient by x, [rows, width]. */
export function layerNormDx(gpu: Gpu, options: LayerNormDx): void {
  const { x, moments, dy, rows, width, gamma, residual, dx } = options;
  const elements = rows * width;
  const bundle = rowBundle(gpu, rows);
  const chosen =
    options.sharing ??
    chooseRowSharing(gpu, dxKernel, [rows, width, bundle], () => ({
      inputs: [elements, 2 * rows, elements, width].map((count) => ({ elements: count, type: 'f32' })),
      output: elements,
      run: (sharing, [a, m, b, g], out) =>
        layerNormDx(gpu, {
          ...{ x: a!, moments: m!, dy: b!, gamma: g!, residual: null, dx: out, rows, width },
          sharing: sharing as RowSharing,
        }),
    }));
  const { sharing, constants, groups } = rowLaunch(gpu, rows, chosen, bundle);
  gpu.run(dxKernel[sharing], {
    constants: {
      ...constants,
      WIDE: width % 4 === 0 ? 4 : 1,
      BUNDLE: bundle,
      AFFINE: Number(gamma !== null),
      RESIDUAL: Number(residual !== null),
    },
    buffers: [x, moments, dy, ...(gamma ? [gamma] : []), ...(residual ? [residual] : []), dx],
    params: [rows, width],
    groups,
  });
}

/** The gradients by γ and β, [width] each. */
export function layerNormDgamma(
  gpu: Gpu,
  options: LayerNormBackward & { readonly dgamma: GpuBuffer; readonly dbeta: GpuBuffer },
): void {
  const { x, moments, dy, rows, width, dgamma, dbeta } = options;
  const { run, runs } = rowRuns(rows);
  withScratch(gpu, dgammaKernel.name, (hold) => {
    const partial = (out: GpuBuffer) => (runs === 1 ? out : hold(gpu.pool.allocate(4 * runs * width)));
    const [partialGamma, partialBeta] = [partial(dgamma), partial(dbeta)];
    gpu.run(dgammaKernel, {
      buffers: [x, moments, dy, partialGamma, partialBeta],
      params: [rows, width, run],
      groups: [Math.ceil(width / 32), runs],
    });
    if (runs === 1) return;
    sumRows(gpu, partialGamma, dgamma, runs, width);
    sumRows(gpu, partialBeta, dbeta, runs, width);
  });
}
