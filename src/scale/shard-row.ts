import type { Cell } from './manifest.ts';

/** An image of a shard with what came of it. */
export interface ShardRow {
  readonly path: string;
  readonly extra: readonly Cell[];
  readonly cells?: readonly Cell[] | undefined;
  readonly feature?: Float32Array | undefined;
  readonly error?: string | undefined;
}

/** A file of a shard's result, by its path below the run's folder. */
export interface ResultFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}
