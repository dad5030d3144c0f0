import adamwSource from '../../shaders/adamw.wgsl';
import sgdSource from '../../shaders/sgd.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import { foldGroups, type Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

const adamwKernel = { name: 'adamw', source: adamwSource };
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
}

export function sgd(gpu: Gpu, step: SgdStep): void {
  const { parameter, gradient, velocity, settings, size, momentum, weightDecay } = step;
  gpu.run(sgdKernel, {
    buffers: [settings, gradient, velocity, parameter],
    params: [size, f32(momentum), f32(weightDecay)],
    groups: foldGroups(Math.ceil(size / 256)),
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

export function adamw(gpu: Gpu, step: AdamWStep): void {
  const { parameter, gradient, first, second, settings, size, betas, eps, weightDecay } = step;
  gpu.run(adamwKernel, {
    buffers: [settings, gradient, first, second, parameter],
    params: [size, f32(betas[0]), f32(betas[1]), f32(eps), f32(weightDecay)],
    groups: foldGroups(Math.ceil(size / 256)),
  });
}
