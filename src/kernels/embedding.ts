import source from '../../shaders/gather_rows.wgsl';
import backwardSource from '../../shaders/gather_rows_backward.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';
import { elementGroups, fill } from './elementwise.ts';

const kernel = { name: 'gather_rows', source };
const backwardKernel = { name: 'gather_rows_backward', source: backwardSource };

interface GatherShape {
  /** u32 [count]: rows of the table. */
  readonly indices: GpuBuffer;
  readonly count: number;
  readonly width: number;
}

export interface GatherRows extends GatherShape {
  /** [rows, width] */
  readonly table: GpuBuffer;
  /** The table holds halves. */
  readonly half?: boolean;
  /** [count, width], float32 */
  readonly out: GpuBuffer;
}

/** out[i] = row indices[i] of the table. */
export function gatherRows(gpu: Gpu, { table, indices, out, count, width, half = false }: GatherRows): void {
  gpu.run(kernel, {
    constants: { HALF: Number(half) },
    buffers: [table, indices, out],
    params: [count * width, width],
    groups: elementGroups(count * width),
  });
}

export interface GatherRowsBackward extends GatherShape {
  /** [count, width] */
  readonly dy: GpuBuffer;
  /** [rows, width] */
  readonly dtable: GpuBuffer;
  readonly rows: number;
}

/** dtable = for each row the sum of the dy rows that were gathered from it. */
export function gatherRowsBackward(gpu: Gpu, options: GatherRowsBackward): void {
  const { dy, indices, dtable, count, width, rows } = options;
  fill(gpu, dtable, rows * width, 0);
  gpu.run(backwardKernel, {
    buffers: [dy, indices, dtable],
    params: [count, width],
    groups: foldGroups(count),
  });
}
