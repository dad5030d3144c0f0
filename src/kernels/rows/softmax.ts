import forwardSource from '../../../shaders/softmax.wgsl';
import dxSource from '../../../shaders/softmax_dx.wgsl';
import type { GpuBuffer } from '../device/buffer-pool.ts';
import type { Gpu } from '../device/gpu.ts';
import type { Trial } from '../device/tuning.ts';
import { chooseRowSharing, type RowKernel, type RowSharing, rowKernel, rowLaunch } from './sharing.ts';

const forwardKernel = rowKernel('softmax', forwardSource);
const dxKernel = rowKernel('softmax_dx', dxSource);

export interface SoftmaxOptions {
  /** The logarithm of the softmax instead. */
  readonly log?: boolean;
  readonly sharing?: RowSharing;
}

/**
 * Four rows whose length is no multiple of 4 together begin and end at a vec4. A software adapter gains by bundling them so; a
 * GPU, whose neighbouring lanes load neighbouring words anyway, would have a quarter of the rows to spread over its cores.
 */
function layoutOf(gpu: Gpu, rows: number, width: number): { bundle: number; byFours: boolean } {
  if (width % 4 === 0) return { bundle: 1, byFours: true };
  const byFours = gpu.adapter.software && rows % 4 === 0;
  return { bundle: byFours ? 4 : 1, byFours };
}

/** Runs one of the two kernels over `rows` rows. */
function launch(
  gpu: Gpu,
  kernel: RowKernel,
  [rows, width]: readonly [number, number],
  buffers: readonly GpuBuffer[],
  { log = false, sharing: given }: SoftmaxOptions,
  trial: () => Omit<Trial, 'reference' | 'tolerance'>,
): void {
  const { bundle, byFours } = layoutOf(gpu, rows, width);
  const chosen = given ?? chooseRowSharing(gpu, kernel, [rows, width, bundle], trial);
  const { sharing, constants, groups } = rowLaunch(gpu, rows, chosen, bundle);
  gpu.run(kernel[sharing], {
    constants: { ...constants, WIDE: byFours ? 4 : 1, BUNDLE: bundle, LOG: Number(log) },
    buffers,
    params: [rows, width],
    groups,
  });
}

/** y [rows, width] = the softmax of each row of x, or its logarithm. */
export function softmax(
  gpu: Gpu,
  x: GpuBuffer,
  y: GpuBuffer,
  rows: number,
  width: number,
  options: SoftmaxOptions = {},
): void {
  const elements = rows * width;
  launch(gpu, forwardKernel, [rows, width], [x, y], options, () => ({
    inputs: [{ elements, type: 'f32' }],
    output: elements,
    run: (sharing, [a], out) => softmax(gpu, a!, out, rows, width, { sharing: sharing as RowSharing }),
  }));
}

/** The gradient by x, [rows, width], from the output y. */
export function softmaxDx(
  gpu: Gpu,
  y: GpuBuffer,
  dy: GpuBuffer,
  dx: GpuBuffer,
  rows: number,
  width: number,
  options: SoftmaxOptions = {},
): void {
  const elements = rows * width;
  launch(gpu, dxKernel, [rows, width], [y, dy, dx], options, () => ({
    inputs: [elements, elements].map((count) => ({ elements: count, type: 'f32' })),
    output: elements,
    run: (sharing, [a, b], out) =>
      softmaxDx(gpu, a!, b!, out, rows, width, { sharing: sharing as RowSharing }),
  }));
}
