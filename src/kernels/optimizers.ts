import adamwSource from '../../shaders/adamw.wgsl';
import advanceSource from '../../shaders/adamw_advance.wgsl';
import clipSource from '../../shaders/clip_scale.wgsl';
import sgdSource from '../../shaders/sgd.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';
import type { Kernel } from './device/pipelines.ts';
import type { Constants } from './device/wgsl.ts';
import { elementGroups, elementsOfGroup } from './elementwise.ts';

const adamwKernel = { name: 'adamw', source: adamwSource };
const advanceKernel = { name: 'adamw_advance', source: advanceSource };
const clipKernel = { name: 'clip_scale', source: clipSource };
const sgdKernel = { name: 'sgd', source: sgdSource };

/** Tensors of a launch: their bindings end in one digit, their number. */
const mostTensors = 10;

/** A parameter and its gradient. */
interface Updated {
  /** Updated in place, like the optimizer's state of it. */
  readonly parameter: GpuBuffer;
  readonly gradient: GpuBuffer;
  readonly size: number;
}

export interface SgdTensor extends Updated {
  readonly velocity: GpuBuffer;
}

export interface SgdStep {
  readonly tensors: readonly SgdTensor[];
  /** The learning rate in its first word. */
  readonly settings: GpuBuffer;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly nesterov: boolean;
}

/** A step of SGD, in as few launches as the adapter has bindings for. */
export function sgd(gpu: Gpu, { tensors, settings, momentum, weightDecay, nesterov }: SgdStep): void {
  updateAll(gpu, sgdKernel, settings, tensors, (t) => [t.gradient, t.velocity, t.parameter], {
    constants: { NESTEROV: Number(nesterov) },
    params: [momentum, weightDecay],
  });
}

export interface AdamWTensor extends Updated {
  readonly first: GpuBuffer;
  readonly second: GpuBuffer;
}

export interface AdamWStep {
  readonly tensors: readonly AdamWTensor[];
  /** Learning rate, 1 - beta1^t, 1 - beta2^t. */
  readonly settings: GpuBuffer;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

const complements = (betas: readonly [number, number]) => betas.map((beta) => 1 - beta);

/** Counts one step: the bias corrections in `settings` (see {@link AdamWStep}) go from those of step t to those of t + 1. */
export function adamwAdvance(gpu: Gpu, settings: GpuBuffer, betas: readonly [number, number]): void {
  gpu.run(advanceKernel, { buffers: [settings], params: complements(betas), groups: [1] });
}

/** A step of AdamW, in as few launches as the adapter has bindings for. */
export function adamw(gpu: Gpu, { tensors, settings, betas, eps, weightDecay }: AdamWStep): void {
  updateAll(gpu, adamwKernel, settings, tensors, (t) => [t.gradient, t.first, t.second, t.parameter], {
    constants: {},
    params: [...betas, ...complements(betas), eps, weightDecay],
  });
}

/** Launches a kernel that includes lib_tensors.wgsl: `settings`, then the buffers of each kind of all tensors of a launch. */
function updateAll<T extends Updated>(
  gpu: Gpu,
  kernel: Kernel,
  settings: GpuBuffer,
  tensors: readonly T[],
  buffersOf: (tensor: T) => readonly GpuBuffer[],
  { constants, params }: { readonly constants: Constants; readonly params: readonly number[] },
): void {
  const [first] = tensors;
  if (!first) return;
  const most = Math.min(
    mostTensors,
    Math.floor((gpu.limits.maxStorageBuffersPerShaderStage - 1) / buffersOf(first).length),
  );
  for (let at = 0; at < tensors.length; at += most) {
    const some = tensors.slice(at, at + most);
    const ofEach = some.map(buffersOf);
    let groups = 0;
    const places = some.flatMap(({ size }) => {
      const place = [size, groups];
      groups += Math.ceil(size / elementsOfGroup);
      return place;
    });
    gpu.run(kernel, {
      constants: { COUNT: some.length, ...constants },
      buffers: [settings, ...ofEach[0]!.flatMap((_, kind) => ofEach.map((buffers) => buffers[kind]!))],
      params: [some.reduce((sum, { size }) => sum + size, 0), ...params, ...places],
      groups: foldGroups(groups),
    });
  }
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
