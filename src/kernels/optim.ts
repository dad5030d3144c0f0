import sgdSource from '../../shaders/sgd.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import { foldGroups, type Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

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
