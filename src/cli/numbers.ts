import { UserError } from '../common/errors.ts';

/** A parser for a commander option that takes a whole number of at least 1. */
export const countOption =
  (flag: string) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1)
      throw new UserError(`${flag} takes an integer of at least 1, not ${text}`);
    return value;
  };
