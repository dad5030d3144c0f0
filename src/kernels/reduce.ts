import columnsSource from '../../shaders/sum_columns.wgsl';
import rowsSource from '../../shaders/sum_rows.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import { foldGroups, type Gpu } from './gpu.ts';
import { f32 } from './wgsl.ts';

const rowsKernel = { name: 'sum_rows', source: rowsSource };
const columnsKernel = { name: 'sum_columns', source: columnsSource };

/** out[width] = factor · the sum of x [rows, width] over its rows. */
export function sumRows(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  rows: number,
  width: number,
  factor = 1,
): void {
  gpu.run(rowsKernel, {
    buffers: [x, out],
    params: [rows, width, f32(factor)],
    groups: [Math.ceil(width / 32)],
  });
}

/** out[rows] = factor · the sum of x [rows, width], or of its squares, over each row. */
export function sumColumns(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  rows: number,
  width: number,
  options: { readonly factor?: number; readonly square?: boolean } = {},
): void {
  gpu.run(columnsKernel, {
    constants: { SQUARE: Number(options.square ?? false) },
    buffers: [x, out],
    params: [rows, width, f32(options.factor ?? 1)],
    groups: foldGroups(Math.ceil(rows / 32)),
  });
}

/** Elements that one lane adds up when everything is reduced to one number. */
const chunk = 256;

/** out[1] = factor · the sum of `size` numbers (or squares): chunks first, then the chunks' sums, in a fixed order. */
export function sumAll(
  gpu: Gpu,
  x: GpuBuffer,
  out: GpuBuffer,
  size: number,
  options: { readonly factor?: number; readonly square?: boolean } = {},
): void {
  const whole = Math.floor(size / chunk);
  if (whole <= 1) {
    sumColumns(gpu, x, out, 1, size, options);
    return;
  }
  // Rows of equal length need a divisor of the size; the largest up to the chunk keeps both stages short.
  let width = chunk;
  while (size % width !== 0) width--;
  if (width < 16) {
    sumColumns(gpu, x, out, 1, size, options);
    return;
  }
  const partial = gpu.pool.allocate(4 * (size / width));
  sumColumns(gpu, x, partial, size / width, width, { square: options.square });
  sumAll(gpu, partial, out, size / width, { factor: options.factor });
  gpu.pool.release(partial);
}
