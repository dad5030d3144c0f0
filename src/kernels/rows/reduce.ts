import columnSource from '../../../shaders/column_sum.wgsl';
import rowSource from '../../../shaders/row_reduce.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { type RowShape, rowKernel } from './row-kernel.ts';

const columnKernel = { name: 'column_sum', source: columnSource };
const rowsKernel = rowKernel('row_reduce', rowSource);

/** Rows that one lane adds up in a column. */
const longestRun = 128;

/** How a column of `rows` is cut into equal runs for separate lanes, whose sums a second pass adds. */
export function runsOf(rows: number): { readonly run: number; readonly runs: number } {
  const runs = Math.min(Math.ceil(rows / longestRun), 65535);
  return { run: Math.ceil(rows / runs), runs };
}

export interface ColumnSum extends RowShape {
  /** [rows, width] */
  readonly x: GpuBuffer;
  /** [width] */
  readonly out: GpuBuffer;
  /** Multiplies the sums. */
  readonly factor?: number;
}

/** out = factor · the sum of x over its rows (axis 0), in a fixed order. */
export function columnSum(gpu: Gpu, { x, out, rows, width, factor = 1 }: ColumnSum): void {
  const { run, runs } = runsOf(rows);
  const [groupsX, groupsZ] = foldGroups(Math.ceil(width / 32));
  withScratch(gpu, columnKernel.name, (hold) => {
    const sums = runs === 1 ? out : hold(gpu.pool.allocate(4 * runs * width));
    gpu.run(columnKernel, {
      buffers: [x, sums],
      params: [rows, width, runs === 1 ? factor : 1, run],
      groups: [groupsX, runs, groupsZ],
    });
    if (runs > 1) columnSum(gpu, { x: sums, out, rows: runs, width, factor });
  });
}

/** By number in row_reduce.wgsl. */
const operations = { sum: 0, squares: 1, max: 2 } as const;
/** The sum, the sum of squares, or the largest value. */
export type Reduction = keyof typeof operations;

interface ReduceOptions {
  readonly x: GpuBuffer;
  readonly out: GpuBuffer;
  readonly operation?: Reduction;
  /** Multiplies a sum. */
  readonly factor?: number;
}

/** x [rows, width], out [rows]. */
export interface RowReduce extends ReduceOptions, RowShape {}

/** x [size], out [1]. */
export interface ReduceAll extends ReduceOptions {
  readonly size: number;
}

/** out = factor · the sum (or another reduction) of each row of x (axis -1), in a fixed order. */
export function rowReduce(gpu: Gpu, options: RowReduce): void {
  reduceRagged(gpu, options, options.rows * options.width);
}

/** Elements reduced to one by each pass over everything. */
export const reduceChunk = 2048;

/** out = factor · the sum (or another reduction) of everything: chunks first, then the chunks' results. */
export function reduceAll(gpu: Gpu, { size, ...options }: ReduceAll): void {
  const rows = Math.ceil(size / reduceChunk);
  if (rows === 1) {
    reduceRagged(gpu, { rows, width: size, ...options }, size);
    return;
  }
  const { out, operation = 'sum', factor } = options;
  withScratch(gpu, 'row_reduce', (hold) => {
    const partial = hold(gpu.pool.allocate(4 * rows));
    const { x } = options;
    reduceRagged(gpu, { x, out: partial, operation, rows, width: reduceChunk }, size);
    // Squares are sums from the second pass on.
    const rest = operation === 'max' ? operation : 'sum';
    reduceAll(gpu, { x: partial, out, size: rows, operation: rest, factor: factor ?? 1 });
  });
}

/** Of `size` elements in all the last row may lack some. */
function reduceRagged(gpu: Gpu, options: RowReduce, size: number): void {
  const { x, out, rows, width, operation = 'sum', factor = 1 } = options;
  const constants = { OPERATION: operations[operation] };
  rowsKernel.run(gpu, { buffers: [x, out], params: [size, factor], constants }, { rows, width });
}
