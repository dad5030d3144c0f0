import forwardSource from '../../shaders/unary.wgsl';
import backwardSource from '../../shaders/unary_backward.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

/** Functions of one number by the numbers that lib_unary.wgsl gives them. */
export const unaryNumbers = {
  none: 0,
  quick_gelu: 1,
  gelu: 2,
  relu: 3,
  tanh: 4,
  exp: 5,
  log: 6,
  sqrt: 7,
  sigmoid: 8,
} as const;
export type UnaryName = keyof typeof unaryNumbers;

/** What a linear layer may end with. */
export type ActivationName = Exclude<UnaryName, 'exp' | 'log' | 'sqrt'>;

const forwardKernel = { name: 'unary', source: forwardSource };
const backwardKernel = { name: 'unary_backward', source: backwardSource };

/** y = f(x), elementwise over `size` elements. */
export function unary(gpu: Gpu, name: UnaryName, x: GpuBuffer, y: GpuBuffer, size: number): void {
  gpu.run(forwardKernel, {
    constants: { FUNCTION: unaryNumbers[name] },
    buffers: [x, y],
    params: [size],
    groups: elementGroups(size),
  });
}

export interface UnaryBackward {
  /** The function's input. */
  readonly x: GpuBuffer;
  readonly dy: GpuBuffer;
  readonly dx: GpuBuffer;
  readonly size: number;
}

/** dx = dy · f'(x), elementwise. */
export function unaryBackward(gpu: Gpu, name: UnaryName, { x, dy, dx, size }: UnaryBackward): void {
  gpu.run(backwardKernel, {
    constants: { FUNCTION: unaryNumbers[name] },
    buffers: [x, dy, dx],
    params: [size],
    groups: elementGroups(size),
  });
}
