import fidelitySource from '../../../shaders/fidelity_loss.wgsl';
import fidelityBackwardSource from '../../../shaders/fidelity_loss_backward.wgsl';
import gradedResponseSource from '../../../shaders/graded_response.wgsl';
import gradedResponseBackwardSource from '../../../shaders/graded_response_backward.wgsl';
import normInNormSource from '../../../shaders/norm_in_norm_loss.wgsl';
import normInNormBackwardSource from '../../../shaders/norm_in_norm_loss_backward.wgsl';
import plccSource from '../../../shaders/plcc_loss.wgsl';
import plccBackwardSource from '../../../shaders/plcc_loss_backward.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { reduceAll } from './reduce.ts';
import { type RowShape, rowKernel } from './row-kernel.ts';

interface RowLossOf extends RowShape {
  /** [rows, width] */
  readonly x: GpuBuffer;
  /** Of the numbers [rows, width], or of the rows [rows]. */
  readonly target: GpuBuffer;
}

export interface RowLossForward extends RowLossOf {
  /** [1] */
  readonly loss: GpuBuffer;
}

export interface RowLossBackward extends RowLossOf {
  /** [1] */
  readonly dloss: GpuBuffer;
  /** [rows, width] */
  readonly dx: GpuBuffer;
}

/** A loss that each row has by itself, and of which the mean over rows is taken. */
export interface RowLoss {
  forward(gpu: Gpu, options: RowLossForward): void;
  /** The gradient by x. */
  backward(gpu: Gpu, options: RowLossBackward): void;
}

function rowLoss(name: string, source: string, backwardSource: string): RowLoss {
  const kernel = rowKernel(name, source);
  const backwardKernel = rowKernel(`${name}_backward`, backwardSource);
  return {
    forward(gpu, options) {
      const { x, target, loss, rows } = options;
      withScratch(gpu, name, (hold) => {
        const losses = rows === 1 ? loss : hold(gpu.pool.allocate(4 * rows));
        kernel.run(gpu, { buffers: [x, target, losses] }, options);
        if (rows > 1) reduceAll(gpu, { x: losses, out: loss, size: rows, factor: 1 / rows });
      });
    },
    backward(gpu, options) {
      const { x, target, dloss, dx } = options;
      backwardKernel.run(gpu, { buffers: [x, target, dloss, dx] }, options);
    },
  };
}

/** 1 - Pearson's correlation of x and its targets. */
export const plcc = rowLoss('plcc_loss', plccSource, plccBackwardSource);

/** Distance of x and its targets, both without mean and of unit length. */
export const normInNorm = rowLoss('norm_in_norm_loss', normInNormSource, normInNormBackwardSource);

/** Fidelity of the order of all pairs. */
export const fidelity = rowLoss('fidelity_loss', fidelitySource, fidelityBackwardSource);

/** Negative log-likelihood of a grade, u32 [rows] from 0 to width, by the logits [rows, width] of the boundaries between grades. */
export const gradedResponse = rowLoss('graded_response', gradedResponseSource, gradedResponseBackwardSource);
