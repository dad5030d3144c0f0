/**
 * An error the user can fix: bad input, a missing file, no adapter. Commands print its message and its
 * advice, without a stack, and exit with status 1. Anything else that is thrown is a bug and keeps its stack.
 * Message and advice are a line each, however long or broken the names in them are.
 */
export class UserError extends Error {
  /** What to do about it, in one sentence. */
  readonly advice: string | undefined;

  constructor(message: string, advice?: string, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.name = 'UserError';
    this.advice = advice && oneLine(advice);
  }
}

/** Longest line of an error in characters, so that a file with a name of a megabyte does not fill the terminal. */
const longestLine = 1200;

function oneLine(text: string): string {
  return shortened(text, longestLine).replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ');
}

/** A text of at most `length` characters: the middle of a longer one is left out. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const half = Math.floor((length - 3) / 2);
  return `${text.slice(0, half)} … ${text.slice(text.length - half)}`;
}

/** Any value as a short text for a message: JSON where it is not too long or too deep for that. */
export function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Nested beyond the stack, or holding itself or a bigint.
  }
  return shortened(text ?? (typeof value === 'object' ? 'a nested value' : String(value)), 100);
}

/**
 * Work that ended early because it was asked to (Ctrl-C, SIGTERM). A command prints what was done and how to continue as its last
 * line, without a stack, and exits with the status of the signal.
 */
export class Stopped extends Error {
  /** What was done: `after epoch 3 of 100`. */
  readonly done: string;

  /** The exit status, where it is not the signal's. */
  readonly status: number | undefined;

  /** @param command the command line that continues from there */
  constructor(done: string, command?: string, status?: number) {
    super(command === undefined ? done : `${done}; continue with: ${command}`);
    this.name = 'Stopped';
    this.done = done;
    this.status = status;
  }
}
