/** A bug that one of `tests` must notice: in `file` the only occurrence of `text` becomes `becomes`. */
export interface Mutant {
  readonly what: string;
  readonly file: string;
  readonly text: string;
  readonly becomes: string;
  readonly tests: readonly string[];
  /** The tests run the built commands. */
  readonly build?: boolean;
}

export declare const mutants: readonly Mutant[];
