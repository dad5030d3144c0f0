import { shortened, shown, UserError } from './errors.ts';

type Scalar = string | number | boolean;

/** Bounds of a number, both included, at least 0 where none is given; and whether it is whole, as it is where its default is. */
export interface Range {
  readonly whole?: boolean;
  readonly min?: number;
  readonly max?: number;
}

/** One setting: its default, its choices if it has few, its bounds if it is a number, and what it means (shown by --help). */
export interface Field<T> extends Range {
  readonly value: T;
  readonly choices?: readonly T[];
  readonly help: string;
}

/** The settings of a command by name; option, configuration file and help text are made from them. */
export type Fields = Readonly<Record<string, Field<string> | Field<number> | Field<boolean>>>;

type Value<F> =
  F extends Field<infer T>
    ? T extends string
      ? string extends T
        ? string
        : T
      : T extends number
        ? number
        : boolean
    : never;

export type FieldValues<F> = { -readonly [K in keyof F]: Value<F[K]> };

export const field = <T>(value: T, help: string, limits?: readonly T[] | Range): Field<T> => ({
  value,
  help,
  ...(Array.isArray(limits) ? { choices: limits } : limits),
});

export function defaultValues<F>(fields: F): FieldValues<F> {
  return Object.fromEntries(
    Object.entries(fields as Fields).map(([name, { value }]) => [name, value]),
  ) as FieldValues<F>;
}

/**
 * Merges values, from a file or the command line, over settings. Throws `UserError` for unknown names, wrong types and what
 * holds no values at all.
 *
 * @param where the values come from
 * @param typed what an error calls a setting; by default its name in that place
 */
export function applyValues<F>(
  fields: F,
  settings: FieldValues<F>,
  values: unknown,
  where: string,
  typed = (name: string) => `${where}: ${name}`,
): FieldValues<F> {
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new UserError(`${where}: settings are ${shown(values)}, not names with values`);
  const known = fields as Readonly<Record<string, Field<Scalar>>>;
  const merged: Record<string, unknown> = { ...settings };
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(known, name))
      throw new UserError(
        `${where}: no setting named ${shortened(name, 100)}`,
        `Settings: ${Object.keys(known).join(', ')}.`,
      );
    merged[name] = parsed(typed(name), known[name]!, value);
  }
  return merged as FieldValues<F>;
}

function parsed(
  name: string,
  { value: standard, choices, min = 0, max = Infinity, whole = Number.isInteger(standard) }: Field<Scalar>,
  value: unknown,
): Scalar {
  let result: Scalar;
  if (typeof standard === 'number') {
    result =
      typeof value === 'number'
        ? value
        : typeof value === 'string' && value.trim()
          ? Number(value)
          : Number.NaN;
    if (!Number.isFinite(result) || result < min || result > max) {
      const bounds = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
      throw new UserError(`${name} must be a number ${bounds}, not ${shown(value)}`);
    }
    if (whole && !Number.isInteger(result))
      throw new UserError(`${name} must be an integer, not ${shown(value)}`);
  } else if (typeof standard === 'boolean') {
    if (![true, false, 'true', 'false', 'True', 'False'].includes(value as string | boolean))
      throw new UserError(`${name} must be true or false, not ${shown(value)}`);
    result = String(value).toLowerCase() === 'true';
  } else {
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new UserError(`${name} must be a string, not ${shown(value)}`);
    result = String(value);
  }
  if (choices && !choices.includes(result))
    throw new UserError(`${name} must be one of ${choices.join(', ')}, not ${shown(value)}`);
  return result;
}

/** A setting's name as it is typed: `--batch-size` for `batchSize`. */
export const optionFlag = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
