/**
 * An error the user can mend: bad input, a missing file, no adapter. Commands print its message and its
 * advice, without a stack, and exit with status 1. Anything else that is thrown is a bug and keeps its stack.
 */
export class UserError extends Error {
  /** What to do about it, in one sentence. */
  readonly advice: string | undefined;

  constructor(message: string, advice?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
    this.advice = advice;
  }
}
