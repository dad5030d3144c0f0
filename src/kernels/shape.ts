import copySource from '../../shaders/copy_block.wgsl';
import permuteSource from '../../shaders/permute.wgsl';
import { elementCount } from '../common/shape.ts';
import type { GpuBuffer } from './device/buffer-pool.ts';
import type { Gpu } from './device/gpu.ts';
import { elementGroups } from './elementwise.ts';

const copyKernel = { name: 'copy_block', source: copySource };
const permuteKernel = { name: 'permute', source: permuteSource };

export interface CopyBlock {
  readonly rows: number;
  /** Elements copied of each row. */
  readonly width: number;
  /** Elements from row to row, and of the block's start in a row. */
  readonly xStride: number;
  readonly xAt: number;
  readonly outStride: number;
  readonly outAt: number;
}

/** out[r, outAt + c] = x[r, xAt + c] for r < rows, c < width; elements are 32-bit words. */
export function copyBlock(gpu: Gpu, x: GpuBuffer, out: GpuBuffer, block: CopyBlock): void {
  const { rows, width, xStride, xAt, outStride, outAt } = block;
  gpu.run(copyKernel, {
    buffers: [x, out],
    params: [rows * width, width, xStride, xAt, outStride, outAt],
    groups: elementGroups(rows * width),
  });
}

/** out = x of `shape` with its axes in `order`: axis k of the output is axis order[k] of x; elements are 32-bit words. */
export function permute(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  shape: readonly number[],
  order: readonly number[],
): void {
  const axes = joinedAxes(shape, order).reverse();
  const size = axes.reduce((product, { count }) => product * count, 1);
  gpu.run(permuteKernel, {
    constants: { RANK: axes.length },
    buffers: [x, out],
    params: [size, ...axes.flatMap(({ count, stride }) => [count, stride])],
    groups: elementGroups(size),
  });
}

/** The output's axes with their strides in x; neighbors that are neighbors in x too are one axis, those of 1 are none. */
function joinedAxes(shape: readonly number[], order: readonly number[]): { count: number; stride: number }[] {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const axes: { count: number; stride: number }[] = [];
  for (const axis of order) {
    const [count, stride] = [shape[axis]!, strides[axis]!];
    const last = axes.at(-1);
    if (count === 1) continue;
    if (last?.stride === count * stride) axes[axes.length - 1] = { count: last.count * count, stride };
    else axes.push({ count, stride });
  }
  return axes.length > 0 ? axes : [{ count: 1, stride: 1 }];
}
