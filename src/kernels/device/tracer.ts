import type { GpuStorage } from './allocation.ts';
import type { Launch } from './launch.ts';
import type { Kernel, Pipeline } from './pipelines.ts';

/** Observes what is recorded while it is a device's `tracer`; a device has none, as a rule, and then it costs a comparison. */
export interface Tracer {
  /** A dispatch as its launcher asks for it; not of replays. `dispatch` follows. */
  launch?(kernel: Kernel, pipeline: Pipeline, launch: Launch): void;
  /** Every dispatch, replayed ones too. */
  dispatch?(kernel: string, groups: readonly [number, number, number]): void;
  /** Every copy, replayed ones too. */
  copy?(from: GpuStorage, to: GpuStorage, bytes: number): void;
  /** Storage is allocated, for `bytes` bytes. */
  allocate?(storage: GpuStorage, bytes: number): void;
  /** And taken back. */
  release?(storage: GpuStorage): void;
}
