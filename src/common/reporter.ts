/** A bar over a known number of items; the rate and the time left are the reporter's to show. */
export interface Bar {
  advance(items?: number): void;
  stop(): void;
}

/** Where a run tells what it does: the terminal, a test, or nowhere. */
export interface Reporter {
  line(text: string): void;
  bar(label: string, total: number): Bar;
}

export const silent: Reporter = { line: () => {}, bar: () => ({ advance: () => {}, stop: () => {} }) };
