import crossEntropySource from '../../../shaders/cross_entropy.wgsl';
import crossEntropyBackwardSource from '../../../shaders/cross_entropy_backward.wgsl';
import mseSource from '../../../shaders/mse.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { reduceAll, reduceChunk } from './reduce.ts';
import { type RowShape, rowKernel } from './row-kernel.ts';

const mseKernel = rowKernel('mse', mseSource);
const crossEntropyKernel = rowKernel('cross_entropy', crossEntropySource);
const crossEntropyBackwardKernel = rowKernel('cross_entropy_backward', crossEntropyBackwardSource);

export interface MeanSquaredError {
  /** Numbers, and their targets. */
  readonly size: number;
  readonly x: GpuBuffer;
  readonly target: GpuBuffer;
  /** [1] */
  readonly loss: GpuBuffer;
  /** [size]: its gradient by x, if that will be asked for. */
  readonly dx: GpuBuffer | null;
}

/** loss = mean of (x - target)²; dx = 2/size · (x - target). */
export function meanSquaredError(gpu: Gpu, { size, x, target, loss, dx }: MeanSquaredError): void {
  const rows = Math.ceil(size / reduceChunk);
  withScratch(gpu, 'mse', (hold) => {
    const sums = rows === 1 ? loss : hold(gpu.pool.allocate(4 * rows));
    const launch = {
      constants: { GRADIENT: Number(dx !== null) },
      buffers: dx ? [x, target, sums, dx] : [x, target, sums],
      params: [size, rows === 1 ? 1 / size : 1],
    };
    mseKernel.run(gpu, launch, { rows, width: reduceChunk });
    if (rows > 1) reduceAll(gpu, { x: sums, out: loss, size: rows, factor: 1 / size });
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
