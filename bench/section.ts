/** What a run of the bench was asked for. */
export interface BenchOptions {
  /** Fewer repetitions and sizes: to see that it runs, not to quote. */
  readonly quick: boolean;
  /** A Python that has PyTorch, for the figures beside ours; null: without. */
  readonly python: string | null;
  /** The other WebGPU libraries beside ours. */
  readonly peers: boolean;
  /** When to begin nothing more and keep what there is, as far as a section can, by performance.now(). */
  readonly until?: number;
  progress(text: string): void;
}

/** A figure that must not be exceeded, or not be missed. */
export interface Bar {
  readonly what: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export const holds = ({ value, atLeast = -Infinity, atMost = Infinity }: Bar): boolean =>
  value >= atLeast && value <= atMost;

export const verdict = (bar: Bar): 'met' | 'missed' => (holds(bar) ? 'met' : 'missed');

/** One part of the bench: how it is measured, what must hold, and how it reads in docs/performance.md. */
export interface Section<T = unknown> {
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  measure(options: BenchOptions): Promise<T>;
  bars(results: T): Bar[];
  /** Markdown, without the heading. */
  render(results: T): string;
}

/** A table in Markdown. */
export function markdownTable(
  columns: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Whole numbers in full, others by three digits that count, without an exponent where it can be. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < -3) return value.toExponential(1);
  return magnitude >= 2 ? Math.round(value).toLocaleString('en') : value.toFixed(Math.max(0, 2 - magnitude));
}

/** Bytes in megabytes of 10⁶. */
export const megabytes = (bytes: number): string => `${digits(bytes / 1e6)} MB`;
