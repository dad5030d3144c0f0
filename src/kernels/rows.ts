import copySource from '../../shaders/copy_block.wgsl';
import gatherSource from '../../shaders/gather_rows.wgsl';
import scatterSource from '../../shaders/scatter_rows.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import { fill } from './elementwise.ts';
import { foldGroups, type Gpu } from './gpu.ts';

const gatherKernel = { name: 'gather_rows', source: gatherSource };
const scatterKernel = { name: 'scatter_rows', source: scatterSource };
const copyKernel = { name: 'copy_block', source: copySource };

const perGroup = 64 * 4;

/** out[i] = row indices[i] of the table, [count, width]; a table of halves gives float32 rows. */
export function gatherRows(
  gpu: Gpu,
  table: GpuBuffer,
  indices: GpuBuffer,
  out: GpuBuffer,
  count: number,
  width: number,
  half = false,
): void {
  gpu.run(gatherKernel, {
    constants: { HALF: Number(half) },
    buffers: [table, indices, out],
    params: [count * width, width],
    groups: foldGroups(Math.ceil((count * width) / perGroup)),
  });
}

/** dtable [rows, width] = for each row the sum of the dy rows that were gathered from it. */
export function scatterRows(
  gpu: Gpu,
  dy: GpuBuffer,
  indices: GpuBuffer,
  dtable: GpuBuffer,
  count: number,
  width: number,
  rows: number,
): void {
  fill(gpu, dtable, rows * width, 0);
  gpu.run(scatterKernel, {
    buffers: [dy, indices, dtable],
    params: [count, width],
    groups: foldGroups(count),
  });
}

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
    groups: foldGroups(Math.ceil((rows * width) / perGroup)),
  });
}
