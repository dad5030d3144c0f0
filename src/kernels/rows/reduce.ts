import reduceSource from '../../../shaders/reduce_rows.wgsl';
import rowsSource from '../../../shaders/sum_rows.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import { foldGroups, type Gpu } from '../device/gpu.ts';
import { withScratch } from '../device/scratch.ts';
import { type RowSharing, rowKernel, rowLaunch } from './sharing.ts';

const rowsKernel = { name: 'sum_rows', source: rowsSource };
const reduceKernel = rowKernel('reduce_rows', reduceSource);

/** Rows that one lane adds up in a column. */
const longestRun = 128;

/** How a column of `rows` is cut into equal runs for separate lanes, whose sums a second pass adds. */
export function rowRuns(rows: number): { readonly run: number; readonly runs: number } {
  const runs = Math.min(Math.ceil(rows / longestRun), 65535);
  return { run: Math.ceil(rows / runs), runs };
}

/** out[width] = factor · the sum of x [rows, width] over its rows, in a fixed order. */
export function sumRows(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  rows: number,
  width: number,
  factor = 1,
): void {
  const { run, runs } = rowRuns(rows);
  const [groupsX, groupsZ] = foldGroups(Math.ceil(width / 32));
  withScratch(gpu, rowsKernel.name, (hold) => {
    const sums = runs === 1 ? out : hold(gpu.pool.allocate(4 * runs * width));
    gpu.run(rowsKernel, {
      buffers: [x, sums],
      params: [rows, width, runs === 1 ? factor : 1, run],
      groups: [groupsX, runs, groupsZ],
    });
    if (runs > 1) sumRows(gpu, sums, out, runs, width, factor);
  });
}

const operations = { sum: 0, squares: 1, max: 2 } as const;
/** The sum, the sum of squares, or the largest value. */
export type Reduction = keyof typeof operations;

export interface ReduceOptions {
  readonly operation?: Reduction;
  /** Multiplies a sum. */
  readonly factor?: number;
  readonly sharing?: RowSharing | undefined;
}

/** out[rows] = x reduced over each row of `width`; of `size` elements in all the last row may lack some. */
function reduceRagged(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  size: number,
  width: number,
  { operation = 'sum', factor = 1, sharing: wanted }: ReduceOptions,
): void {
  const { sharing, constants, groups } = rowLaunch(gpu, Math.ceil(size / width), wanted);
  gpu.run(reduceKernel[sharing], {
    constants: { ...constants, OPERATION: operations[operation] },
    buffers: [x, out],
    params: [size, width, factor],
    groups,
  });
}

/** out[rows] = factor · the sum (or another reduction) of x [rows, width] over each row, in a fixed order. */
export function reduceColumns(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  rows: number,
  width: number,
  options: ReduceOptions = {},
): void {
  reduceRagged(gpu, x, out, rows * width, width, options);
}

/** Elements reduced to one by each pass over everything. */
export const reduceChunk = 2048;

/** out[1] = factor · the sum (or another reduction) of `size` numbers: chunks first, then the chunks' results. */
export function reduceAll(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  size: number,
  options: ReduceOptions = {},
): void {
  const chunks = Math.ceil(size / reduceChunk);
  if (chunks === 1) {
    reduceRagged(gpu, x, out, size, size, options);
    return;
  }
  const { operation = 'sum', factor, sharing } = options;
  withScratch(gpu, 'reduce_rows', (hold) => {
    const partial = hold(gpu.pool.allocate(4 * chunks));
    reduceRagged(gpu, x, partial, size, reduceChunk, { operation, sharing });
    // Squares are sums from the second pass on.
    const rest = operation === 'max' ? operation : 'sum';
    reduceAll(gpu, partial, out, chunks, { operation: rest, factor: factor ?? 1, sharing });
  });
}
