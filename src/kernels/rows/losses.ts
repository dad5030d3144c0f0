import crossEntropySource from '../../../shaders/cross_entropy.wgsl';
import crossEntropyBackwardSource from '../../../shaders/cross_entropy_backward.wgsl';
import mseSource from '../../../shaders/mse.wgsl';
import mseBackwardSource from '../../../shaders/mse_backward.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { elementGroups } from '../elementwise.ts';
import { reduceAll, reduceChunk } from './reduce.ts';
import { type RowShape, rowKernel } from './row-kernel.ts';

const mseKernel = rowKernel('mse', mseSource);
const mseBackwardKernel = { name: 'mse_backward', source: mseBackwardSource };
const crossEntropyKernel = rowKernel('cross_entropy', crossEntropySource);
const crossEntropyBackwardKernel = rowKernel('cross_entropy_backward', crossEntropyBackwardSource);

interface MeanSquaredErrorOf {
  /** Numbers, and their targets. */
  readonly size: number;
  readonly x: GpuBuffer;
  readonly target: GpuBuffer;
}

export interface MeanSquaredError extends MeanSquaredErrorOf {
  /** [1] */
  readonly loss: GpuBuffer;
}

/** loss = mean of (x - target)². */
export function meanSquaredError(gpu: Gpu, { size, x, target, loss }: MeanSquaredError): void {
  const rows = Math.ceil(size / reduceChunk);
  withScratch(gpu, 'mse', (hold) => {
    const sums = rows === 1 ? loss : hold(gpu.pool.allocate(4 * rows));
    const launch = { buffers: [x, target, sums], params: [size, rows === 1 ? 1 / size : 1] };
    mseKernel.run(gpu, launch, { rows, width: reduceChunk });
    if (rows > 1) reduceAll(gpu, { x: sums, out: loss, size: rows, factor: 1 / size });
  });
}

export interface MeanSquaredErrorBackward extends MeanSquaredErrorOf {
  /** [1] */
  readonly dloss: GpuBuffer;
  /** [size] */
  readonly dx: GpuBuffer;
}

/** dx = dloss · 2/size · (x - target). */
export function meanSquaredErrorBackward(gpu: Gpu, options: MeanSquaredErrorBackward): void {
  const { size, x, target, dloss, dx } = options;
  gpu.run(mseBackwardKernel, {
    buffers: [x, target, dloss, dx],
    params: [size],
    groups: elementGroups(size),
  });
}

interface CrossEntropyOf extends RowShape {
  /** Logits, [rows, width]. */
  readonly x: GpuBuffer;
  /** u32 [rows], each below width. */
  readonly classes: GpuBuffer;
}

export interface CrossEntropy extends CrossEntropyOf {
  /** [1] */
  readonly loss: GpuBuffer;
}

/** loss = mean over rows of -log softmax(x)[row, classes[row]]. */
export function crossEntropy(gpu: Gpu, options: CrossEntropy): void {
  const { x, classes, loss, rows } = options;
  withScratch(gpu, 'cross_entropy', (hold) => {
    const losses = hold(gpu.pool.allocate(4 * rows));
    crossEntropyKernel.run(gpu, { buffers: [x, classes, losses] }, options);
    reduceAll(gpu, { x: losses, out: loss, size: rows, factor: 1 / rows });
  });
}

export interface CrossEntropyBackward extends CrossEntropyOf {
  /** [1] */
  readonly dloss: GpuBuffer;
  /** [rows, width] */
  readonly dx: GpuBuffer;
}

/** The gradient of {@link crossEntropy} by x. */
export function crossEntropyBackward(gpu: Gpu, options: CrossEntropyBackward): void {
  const { x, classes, dloss, dx } = options;
  crossEntropyBackwardKernel.run(gpu, { buffers: [x, classes, dloss, dx] }, options);
}
