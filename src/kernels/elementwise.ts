import addToSource from '../../shaders/add_to.wgsl';
import binarySource from '../../shaders/binary.wgsl';
import fillSource from '../../shaders/fill.wgsl';
import scaleSource from '../../shaders/scale.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';

const addToKernel = { name: 'add_to', source: addToSource };
const binaryKernel = { name: 'binary', source: binarySource };
const fillKernel = { name: 'fill', source: fillSource };
const scaleKernel = { name: 'scale', source: scaleSource };

const operations = { add: 0, subtract: 1, multiply: 2, divide: 3 } as const;
export type BinaryOperation = keyof typeof operations;

/** Elements of a workgroup of a kernel that includes lib_elementwise.wgsl, or lib_tensors.wgsl. */
export const elementsOfGroup = 64 * 8;

/** Workgroups for `size` elements. */
export function elementGroups(size: number): [number, number] {
  return foldGroups(Math.ceil(size / elementsOfGroup));
}

/**
 * out[i] = a[i mod aPeriod] (op) b[i mod bPeriod] for i < size; a period equal to the size means no repetition.
 * `out` must be another buffer than `a` and `b`.
 */
export function binary(
  gpu: Gpu,
  operation: BinaryOperation,
  a: GpuBuffer,
  b: GpuBuffer,
  out: GpuBuffer,
  size: number,
  { aPeriod = size, bPeriod = size }: { readonly aPeriod?: number; readonly bPeriod?: number } = {},
): void {
  gpu.run(binaryKernel, {
    constants: { OPERATION: operations[operation] },
    buffers: [a, b, out],
    params: [size, aPeriod, bPeriod],
    groups: elementGroups(size),
  });
}

/** out[i] = value for i < size. */
export function fill(gpu: Gpu, out: GpuBuffer, size: number, value: number): void {
  gpu.run(fillKernel, { buffers: [out], params: [size, value], groups: elementGroups(size) });
}

/** out[i] = factor · x[i] for i < size. */
export function scaleBy(gpu: Gpu, x: GpuBuffer, out: GpuBuffer, size: number, factor: number): void {
  gpu.run(scaleKernel, { buffers: [x, out], params: [size, factor], groups: elementGroups(size) });
}

/** sum[i] += x[i] for i < size. */
export function addTo(gpu: Gpu, x: GpuBuffer, sum: GpuBuffer, size: number): void {
  gpu.run(addToKernel, { buffers: [x, sum], params: [size], groups: elementGroups(size) });
}
