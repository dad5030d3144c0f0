import forwardSource from '../../shaders/softmax.wgsl';
import dxSource from '../../shaders/softmax_dx.wgsl';
import type { GpuBuffer } from './buffer-pool.ts';
import type { Gpu } from './gpu.ts';
import { chooseRowSharing, type RowSharing, rowBundle, rowKernel, rowLaunch } from './row-sharing.ts';

const forwardKernel = rowKernel('softmax', forwardSource);
const dxKernel = rowKernel('softmax_dx', dxSource);

export interface SoftmaxOptions {
  /** The logarithm of the softmax instead. */
  readonly log?: boolean;
  readonly sharing?: RowSharing;
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
  const chosen =
    options.sharing ??
    chooseRowSharing(gpu, forwardKernel, rows, width, () => ({
      inputs: [{ elements, type: 'f32' }],
      output: elements,
      run: (sharing, [a], out) => softmax(gpu, a!, out, rows, width, { sharing: sharing as RowSharing }),
    }));
  const { sharing, constants, groups } = rowLaunch(gpu, rows, chosen);
  gpu.run(forwardKernel[sharing], {
    constants: { ...constants, LOG: Number(options.log ?? false) },
    buffers: [x, y],
    params: [rows, width],
    groups,
  });
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
  const bundle = rowBundle(gpu, rows);
  const elements = rows * width;
  const chosen =
    options.sharing ??
    chooseRowSharing(gpu, dxKernel, rows, width, () => ({
      inputs: [elements, elements].map((count) => ({ elements: count, type: 'f32' })),
      output: elements,
      run: (sharing, [a, b], out) =>
        softmaxDx(gpu, a!, b!, out, rows, width, { sharing: sharing as RowSharing }),
    }));
  const { sharing, constants, groups } = rowLaunch(gpu, rows, chosen, bundle);
  gpu.run(dxKernel[sharing], {
    constants: { ...constants, BUNDLE: bundle, LOG: Number(options.log ?? false) },
    buffers: [y, dy, dx],
    params: [rows, width],
    groups,
  });
}
