import dgammaSource from '../../shaders/layernorm_dgamma.wgsl';
import dxSource from '../../shaders/layernorm_dx.wgsl';
import forwardSource from '../../shaders/layernorm_fwd.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

const forwardKernel = { name: 'layernorm_fwd', source: forwardSource };
const dxKernel = { name: 'layernorm_dx', source: dxSource };
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
}

const perGroup = 32;

export function layerNormForward(
  gpu: Gpu,
  { x, affine, y, moments, rows, width, eps }: LayerNormForward,
): void {
  gpu.run(forwardKernel, {
    constants: { AFFINE: Number(affine !== null), KEEP: Number(moments !== null) },
    buffers: [x, ...(affine ? [affine.gamma, affine.beta] : []), y, ...(moments ? [moments] : [])],
    params: [rows, width, f32(eps)],
    groups: [Math.ceil(rows / perGroup)],
  });
}

export interface LayerNormBackward {
  readonly x: GpuBuffer;
  readonly moments: GpuBuffer;
  readonly dy: GpuBuffer;
  readonly rows: number;
  readonly width: number;
}

/** The gradient by x, [rows, width]. */
export function layerNormDx(
  gpu: Gpu,
  {
    x,
    moments,
    dy,
    rows,
    width,
    gamma,
    dx,
  }: LayerNormBackward & { readonly gamma: GpuBuffer | null; readonly dx: GpuBuffer },
): void {
  gpu.run(dxKernel, {
    constants: { AFFINE: Number(gamma !== null) },
    buffers: [x, moments, dy, ...(gamma ? [gamma] : []), dx],
    params: [rows, width],
    groups: [Math.ceil(rows / perGroup)],
  });
}

/** The gradients by γ and β, [width] each. */
export function layerNormDgamma(
  gpu: Gpu,
  {
    x,
    moments,
    dy,
    rows,
    width,
    dgamma,
    dbeta,
  }: LayerNormBackward & { readonly dgamma: GpuBuffer; readonly dbeta: GpuBuffer },
): void {
  gpu.run(dgammaKernel, {
    buffers: [x, moments, dy, dgamma, dbeta],
    params: [rows, width],
    groups: [Math.ceil(width / perGroup)],
  });
}
