import type fc from 'fast-check';
import type { ReaderName } from './readers.ts';

/** A way to make files of one format that are nearly right. A plan is plain JSON, so that a found case can be kept. */
export interface Target<Plan = unknown> {
  readonly name: string;
  readonly reader: ReaderName;
  readonly plan: fc.Arbitrary<Plan>;
  /** A plan that changes nothing, of a file that has to be accepted. */
  readonly whole: Plan;
  /** Writes the file or folder a plan describes into an empty folder; returns the path to give to the reader. */
  readonly write: (plan: Plan, folder: string) => string | Promise<string>;
}

/** Plans are the target's own business. */
export const target = <Plan>(given: Target<Plan>): Target => given as unknown as Target;
