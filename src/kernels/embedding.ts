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
  /** Of the table. */
  readonly rows: number;
}

export interface GatherRows extends GatherShape {
  /** [rows, width] */
  readonly table: GpuBuffer;
  /** The table holds halves. */
  readonly half?: boolean;
  /** [count, width], float32, added; a number beyond the table's rows then stands for zeros. */
  readonly base?: GpuBuffer | null;
  /** [count, width], float32 */
  readonly out: GpuBuffer;
}

/** out[i] = row indices[i] of the table. */
export function gatherRows(gpu: Gpu, options: GatherRows): void {
  const { table, indices, out, count, width, rows, half = false, base = null } = options;
  gpu.run(kernel, {
    constants: { HALF: Number(half), BASE: Number(base !== null) },
    buffers: base ? [table, indices, base, out] : [table, indices, out],
    params: [count * width, width, rows],
    groups: elementGroups(count * width),
  });
}

export interface GatherRowsBackward extends GatherShape {
  /** [count, width] */
  readonly dy: GpuBuffer;
  /** [rows, width] */
  readonly dtable: GpuBuffer;
}

/** Rows of a table, at most, of which each is written: beyond that only those that were named. */
const mostWhole = 1024;

/** dtable = for each row the sum of the dy rows that were gathered from it. */
export function gatherRowsBackward(gpu: Gpu, options: GatherRowsBackward): void {
  const { dy, indices, dtable, count, width, rows } = options;
  const whole = rows <= mostWhole;
  if (!whole) fill(gpu, dtable, rows * width, 0);
  gpu.run(backwardKernel, {
    constants: { WHOLE: Number(whole) },
    buffers: [dy, indices, dtable],
    params: [count, width, rows],
    groups: foldGroups(whole ? rows : count),
  });
}
