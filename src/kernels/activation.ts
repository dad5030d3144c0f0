import forwardSource from '../../shaders/activation.wgsl';
import gradientSource from '../../shaders/activation_gradient.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

/** Activations by the numbers that lib_activation.wgsl gives them. */
export const activationNumbers = {
  none: 0,
  quick_gelu: 1,
  gelu: 2,
  relu: 3,
  tanh: 4,
  exp: 5,
  log: 6,
  sqrt: 7,
} as const;
export type ActivationName = keyof typeof activationNumbers;

const forwardKernel = { name: 'activation', source: forwardSource };
const gradientKernel = { name: 'activation_gradient', source: gradientSource };

/** y = act(x), elementwise over `size` elements. */
export function activation(gpu: Gpu, name: ActivationName, x: GpuBuffer, y: GpuBuffer, size: number): void {
  gpu.run(forwardKernel, {
    constants: { ACTIVATION: activationNumbers[name] },
    buffers: [x, y],
    params: [size],
    groups: elementGroups(size),
  });
}

/** dx = dy · act'(x), elementwise over `size` elements; x is the activation's input. */
export function activationGradient(
  gpu: Gpu,
  name: ActivationName,
  x: GpuBuffer,
  dy: GpuBuffer,
  dx: GpuBuffer,
  size: number,
): void {
  gpu.run(gradientKernel, {
    constants: { ACTIVATION: activationNumbers[name] },
    buffers: [x, dy, dx],
    params: [size],
    groups: elementGroups(size),
  });
}
