import type { RowKernel, RowLaunch } from '../../kernels/rows/row-kernel.ts';
import { Tensor } from '../tensor.ts';

/**
 * Runs a row-wise kernel on tensors, in the order of its bindings, and returns its outputs, of these shapes, whose bindings come last.
 * The rows are those of the first input, along its last axis.
 */
export function runRows<const Shapes extends readonly (readonly number[])[]>(
  kernel: RowKernel,
  inputs: readonly [Tensor, ...Tensor[]],
  shapes: Shapes,
  options: Omit<RowLaunch, 'buffers'> = {},
): { [I in keyof Shapes]: Tensor } {
  const { gpu, size } = inputs[0];
  const width = inputs[0].dim(-1);
  const outputs = shapes.map((shape) => Tensor.empty(gpu, shape));
  const buffers = [...inputs, ...outputs].map(({ buffer }) => buffer);
  kernel.run(gpu, { buffers, ...options }, { rows: size / width, width });
  return outputs as { [I in keyof Shapes]: Tensor };
}
