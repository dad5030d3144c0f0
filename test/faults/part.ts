/** What all parts of the torture command are told. */
export interface TortureOptions {
  /** How many processes to kill in all. */
  readonly kills: number;
  /** How many submissions, or buffers, to fail of each kind. */
  readonly faults: number;
  readonly seed: number;
  /** Runs side by side. */
  readonly jobs: number;
  /** Names of the kinds to try; all where there are none. */
  readonly kinds: readonly string[] | undefined;
}

/** What has come of a part so far. */
export interface Outcome {
  readonly columns: readonly string[];
  /** A row a kind, its name first. */
  readonly rows: readonly (readonly (string | number)[])[];
  /** Whatever was not as it should be, in a line each. */
  readonly wrong: readonly string[];
}

/** One way to put the project to the test. */
export interface Part {
  readonly name: string;
  run(): Promise<void>;
  /** Ends every process that it has started. */
  stop(): void;
  outcome(): Outcome;
}

/** Of things with names, those that were asked for. */
export const chosenBy = <T extends { readonly name: string }>(
  all: readonly T[],
  { kinds }: TortureOptions,
): T[] => all.filter(({ name }) => kinds?.includes(name) ?? true);
