import type { Reporter } from '../common/reporter.ts';
import type { EncodeTimes } from '../features/encode-times.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Cell } from './manifest.ts';
import type { Plan } from './plan.ts';
import type { Column } from './table.ts';

/** An image of a shard, where it lies on this machine. */
export interface ShardImage {
  /** Its place in the shard. */
  readonly index: number;
  readonly file: string;
  /** What results and errors call it. */
  readonly name: string;
  readonly prompt?: string | undefined;
  /** The image itself, where it is in no file of its own. */
  readonly bytes?: Uint8Array | undefined;
}

/** What was computed of an image: cells of the result's columns, or a feature; or why there is neither. */
export type RowResult = { readonly index: number } & (
  | { readonly cells: readonly Cell[] }
  | { readonly feature: Float32Array }
  | { readonly error: string }
);

/** What a plan computes, opened on a device. */
export interface Task {
  /** Columns of its results, between the path and the list's own. */
  readonly columns: readonly Column[];
  /** Results of the images, each once, in any order. */
  compute(images: readonly ShardImage[]): AsyncIterable<RowResult>;
  /** What images have taken so far. */
  times(): EncodeTimes;
  close(): Promise<void>;
}

/** A kind of work that is cut into shards. */
export interface TaskKind {
  /** Digests of all that decides the results besides the settings, from the files that the plan names. Needs no device. */
  identify(plan: Pick<Plan, 'settings'>): Promise<Plan['identity']>;
  /** Columns of its results, which the settings alone tell. */
  columns(plan: Pick<Plan, 'settings'>): readonly Column[];
  open(gpu: Gpu, plan: Pick<Plan, 'settings'>, reporter: Reporter): Promise<Task>;
}
