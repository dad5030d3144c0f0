import type { GpuStorage } from './allocation.ts';
import type { Constants } from './wgsl.ts';

/** One dispatch: `params` are the numbers of the uniform block, in its fields' order, `groups` the workgroup counts. */
export interface Launch {
  readonly buffers: readonly GpuStorage[];
  readonly params?: readonly number[];
  readonly groups: readonly [number, number?, number?];
  readonly constants?: Constants;
}
