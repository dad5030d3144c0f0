import { UserError } from '../common/errors.ts';

/** What to take of a step: the values under some names, or their gradients. */
export interface CaptureQuery {
  /** As it was written. */
  readonly text: string;
  readonly gradient: boolean;
  matches(name: string): boolean;
}

const grammar =
  'A query is a name as the step page shows it, where * is any one part of it and ** any number of them, and :grad behind it for the gradient: "text.blocks.*.attn :grad".';

/**
 * Parses `PATTERN` or `PATTERN :grad`. A pattern is names between dots; `*` stands for a name or a piece of one, `**` for any number of
 * names, none too.
 *
 * @throws UserError saying what is out of place
 */
export function parseCapture(text: string): CaptureQuery {
  const fail = (what: string) => new UserError(`--capture "${text}": ${what}`, grammar);
  const [, pattern = '', mark] = /^\s*([^\s:]*)\s*(?::\s*(\S*))?\s*$/.exec(text) ?? [];
  if (pattern === '')
    throw fail(text.trim() === '' || text.includes(':') ? 'names nothing' : 'has more than one name');
  if (mark !== undefined && mark !== 'grad') throw fail(`:${mark} is not known, only :grad`);
  const names = pattern.split('.');
  for (const name of names) {
    if (name === '') throw fail('has two dots in a row, or one at an end');
    const odd = /[^\w*/-]/.exec(name)?.[0];
    if (odd !== undefined) throw fail(`${odd} is in no name`);
    if (name.includes('**') && name !== '**') throw fail(`${name}: ** stands by itself between dots`);
  }
  // (?:^|\.) in front of each name, so that ** may be none.
  const source = names
    .map((name) => (name === '**' ? '(?:\\.[^.]+)*' : `\\.${name.replaceAll('*', '[^.]*')}`))
    .join('');
  const expression = new RegExp(`^${source}$`);
  return { text, gradient: mark === 'grad', matches: (name) => expression.test(`.${name}`) };
}
