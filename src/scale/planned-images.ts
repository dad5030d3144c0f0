import type { ManifestRow } from './manifest.ts';
import type { Column } from './table.ts';

/** Images that a plan is to be made of. */
export interface PlannedImages {
  readonly rows: Iterable<ManifestRow> | AsyncIterable<ManifestRow>;
  /** The folder that all of them lie in. */
  readonly root: string;
  /** Columns that each row carries. */
  readonly extra: readonly Column[];
  readonly prompts: boolean;
  readonly unit: 'image' | 'tar';
  /** What folders hold besides, in words, once the rows were read. */
  readonly leftOut: () => string;
}
