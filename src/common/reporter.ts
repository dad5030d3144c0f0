/** A bar over a known number of items; the rate and the time left are the reporter's to show. */
export interface Bar {
  /** So many more are done, 1 by default. */
  advance(items?: number): void;
  /** Ends the bar, done or not. */
  stop(): void;
}

/** Where a run tells what it does: the terminal, a test, or nowhere. */
export interface Reporter {
  /** One line of text. */
  line(text: string): void;
  /** A bar over `total` items. */
  bar(label: string, total: number): Bar;
}

export const silent: Reporter = { line: () => {}, bar: () => ({ advance: () => {}, stop: () => {} }) };
