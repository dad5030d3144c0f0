import adamwSource from '../../shaders/adamw.wgsl';
import advanceSource from '../../shaders/adamw_advance.wgsl';
import clipSource from '../../shaders/clip_scale.wgsl';
import sgdSource from '../../shaders/sgd.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

const adamwKernel = { name: 'adamw', source: adamwSource };
const advanceKernel = { name: 'adamw_advance', source: advanceSource };
const clipKernel = { name: 'clip_scale', source: clipSource };
const sgdKernel = { name: 'sgd', source: sgdSource };

export interface SgdStep {
  /** Updated in place, like the velocity. */
  readonly parameter: GpuBuffer;
  readonly gradient: GpuBuffer;
  readonly velocity: GpuBuffer;
  /** The learning rate in its first word. */
  readonly settings: GpuBuffer;
  readonly size: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
}

export function sgd(gpu: Gpu, step: SgdStep): void {
  const { parameter, gradient, velocity, settings, size, momentum, weightDecay, nesterov } = step;
  gpu.run(sgdKernel, {
    constants: { NESTEROV: Number(nesterov) },
    buffers: [settings, gradient, velocity, parameter],
    params: [size, momentum, weightDecay],
    groups: elementGroups(size),
  });
}

export interface AdamWStep {
  /** Updated in place, like the two moments. */
  readonly parameter: GpuBuffer;
  readonly gradient: GpuBuffer;
  readonly first: GpuBuffer;
  readonly second: GpuBuffer;
  /** Learning rate, 1 - beta1^t, 1 - beta2^t. */
  readonly settings: GpuBuffer;
  readonly size: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

const complements = (betas: readonly [number, number]) => betas.map((beta) => 1 - beta);

/** Counts one step: the bias corrections in `settings` (see {@link AdamWStep}) go from those of step t to those of t + 1. */
export function adamwAdvance(gpu: Gpu, settings: GpuBuffer, betas: readonly [number, number]): void {
  gpu.run(advanceKernel, { buffers: [settings], params: complements(betas), groups: [1] });
}

export function adamw(gpu: Gpu, step: AdamWStep): void {
  const { parameter, gradient, first, second, settings, size, betas, eps, weightDecay } = step;
  gpu.run(adamwKernel, {
    buffers: [settings, gradient, first, second, parameter],
    params: [size, ...betas, ...complements(betas), eps, weightDecay],
    groups: elementGroups(size),
  });
}

/** out = x, scaled down by as much as the norm, the root of `squares`, exceeds `limit`. */
export function clipScale(
  gpu: Gpu,
  x: GpuBuffer,
  squares: GpuBuffer,
  out: GpuBuffer,
  size: number,
  limit: number,
): void {
  gpu.run(clipKernel, {
    buffers: [x, squares, out],
    params: [size, limit],
    groups: elementGroups(size),
  });
}
