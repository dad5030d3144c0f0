import source from '../../shaders/join_repeated.wgsl';
import backwardSource from '../../shaders/join_repeated_backward.wgsl';
import type { GpuBuffer } from './device/buffer-pool.ts';
import { foldGroups, type Gpu } from './device/gpu.ts';
import { dropoutParams } from './dropout.ts';

const kernel = { name: 'join_repeated', source };
const backwardKernel = { name: 'join_repeated_backward', source: backwardSource };

interface JoinShape {
  readonly rows: number;
  /** Columns of x, and with those of the repeated row: multiples of 4. */
  readonly own: number;
  readonly width: number;
  /** What is dropped, if anything; `seed` holds u32 seed and step. */
  readonly dropout: { readonly p: number; readonly stream: number; readonly seed: GpuBuffer } | null;
}

export interface JoinRepeated extends JoinShape {
  /** [rows, own] */
  readonly x: GpuBuffer;
  /** [width - own] */
  readonly repeated: GpuBuffer;
  /** [rows, width] */
  readonly out: GpuBuffer;
}

/** out = x with one row beside each of its rows, and dropout of the whole. */
export function joinRepeated(gpu: Gpu, { rows, own, width, dropout, x, repeated, out }: JoinRepeated): void {
  gpu.run(kernel, {
    constants: { DROPOUT: Number(dropout !== null) },
    buffers: dropout ? [x, repeated, dropout.seed, out] : [x, repeated, out],
    params: [rows * width, width, own, ...dropoutParams(dropout)],
    groups: foldGroups(Math.ceil((rows * width) / 256)),
  });
}

export interface JoinRepeatedBackward extends JoinShape {
  /** [rows, width] */
  readonly dy: GpuBuffer;
  /** [width - own] */
  readonly dRepeated: GpuBuffer;
}

/** The gradient by the repeated row. */
export function joinRepeatedBackward(gpu: Gpu, options: JoinRepeatedBackward): void {
  const { rows, own, width, dropout, dy, dRepeated } = options;
  gpu.run(backwardKernel, {
    constants: { DROPOUT: Number(dropout !== null) },
    buffers: dropout ? [dy, dropout.seed, dRepeated] : [dy, dRepeated],
    params: [rows, width, own, ...dropoutParams(dropout)],
    groups: foldGroups(Math.ceil((width - own) / 256)),
  });
}
