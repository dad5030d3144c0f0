import * as v from 'valibot';
import { shortened, shown, UserError } from './errors.ts';
import { checkLimit } from './limits.ts';

/** What a text in JSON must be, in valibot's terms. */
export type JsonSchema<T> = v.GenericSchema<unknown, T>;

const damaged = 'The file is damaged; copy or generate it again.';

/**
 * Parses JSON and checks what it holds. Members that the schema does not name are left out.
 *
 * @param text undefined where the file lacks it, which is an error too
 * @param where the file, and what of it, for messages, e.g. `model.safetensors, metadata state`
 * @param advice what to do about a text that does not fit
 * @throws UserError that names the first member that is wrong, and its value
 */
export function parseJson<T>(
  text: string | undefined,
  schema: JsonSchema<T>,
  where: string,
  advice = damaged,
): T {
  if (text === undefined) throw new UserError(`${where}: is missing`, advice);
  return checkJson(parseJsonText(text, where, advice), schema, where, advice);
}

/**
 * Parses JSON of any content, as long as it is neither nested deeper nor made of more values than the limits allow: both
 * are counted in the text, before anything is made of it. Throws `UserError`.
 */
export function parseJsonText(text: string, where: string, advice = damaged): unknown {
  checkExtent(text, where);
  try {
    return JSON.parse(text);
  } catch (error) {
    // Without the piece of the text that V8 quotes: it may be anything.
    const reason = (error as Error).message.replace(/, (\.\.\.)?".*/s, '');
    throw new UserError(`${where}: is not JSON (${shortened(reason, 100)})`, advice);
  }
}

/** Checks a value that is parsed already; see {@link parseJson}. */
export function checkJson<T>(value: unknown, schema: JsonSchema<T>, where: string, advice = damaged): T {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  const member = path === null ? '' : `${path} `;
  const problem =
    issue.input === undefined ? 'is missing' : `is ${shown(issue.input)}, not ${expectation(issue)}`;
  throw new UserError(`${where}: ${member}${problem}`, advice);
}

function expectation({ type, expected }: v.BaseIssue<unknown>): string {
  const said: Record<string, string> = {
    finite: 'a finite number',
    safe_integer: 'an integer',
    Array: 'a list',
    Object: 'an object',
    // Of `anyObject`.
    unknown: 'an object',
    string: 'a string',
    number: 'a number',
    boolean: 'true or false',
    '>=0': 'at least 0',
  };
  return said[expected ?? type] ?? expected ?? type;
}

const quote = 0x22;
const backslash = 0x5c;

/** Counts brackets and commas outside of texts. */
function checkExtent(text: string, where: string): void {
  let depth = 0;
  let deepest = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      do at++;
      while (
        at < text.length &&
        text.charCodeAt(at) !== quote &&
        (text.charCodeAt(at) !== backslash || ++at)
      );
    } else if (code === 0x5b || code === 0x7b) {
      values++;
      deepest = Math.max(deepest, ++depth);
    } else if (code === 0x5d || code === 0x7d) depth--;
    else if (code === 0x2c) values++;
  }
  checkLimit('depth', deepest, (levels) => `${where}: is nested ${levels} levels deep`);
  checkLimit('jsonValues', values, (amount) => `${where}: holds ${amount} values`);
}

/** An object of any members. */
export const anyObject = v.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
/** A finite number; JSON may say 1e999, which becomes infinite. */
export const finite = v.pipe(v.number(), v.finite());
/** A whole number from 0 on, exact as a double. */
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
