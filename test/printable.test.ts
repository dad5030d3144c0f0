import { describe, expect, it } from 'vitest';
import { describeError } from '../src/cli/command.ts';
import { formatTable } from '../src/cli/table.ts';
import { UserError } from '../src/common/errors.ts';
import { printable } from '../src/common/printable.ts';

describe('printable', () => {
  it.each([
    ['\x1b[2J\x1b]0;title\x07', '\\x1b[2J\\x1b]0;title\\x07'],
    ['a\rb\nc\td', 'a\\rb\\nc\\td'],
    ['\x9b31m\x85', '\\x9b31m\\x85'],
    ['\x00\x7f', '\\x00\\x7f'],
    ['gnp.\u202eexe\u2066\u200f', 'gnp.\\u202eexe\\u2066\\u200f'],
    ['a\u2028b\u2029', 'a\\u2028b\\u2029'],
    ['\ud800x\udc00', '\\ud800x\\udc00'],
  ])('shows what would steer a terminal: %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it.each(['photo 1.png', 'C:\\images\\a.png', 'Ærøskøbing', '写真', '😀.png', 'מבחן', ''])(
    'leaves %j as it is',
    (text) => expect(printable(text)).toBe(text),
  );

  it('keeps lines where they are meant', () => {
    expect(printable('a\nb\x1b\r\n', { lines: true })).toBe('a\nb\\x1b\\r\n');
  });
});

it('cells of a table are one line each, without control characters, and of a sane length', () => {
  const table = formatTable(
    [
      ['\x1b[2Ja\nb', 1],
      ['x'.repeat(1e6), 2],
    ],
    { columns: ['name', 'n'] },
  );
  expect(table).toContain('\\x1b[2Ja\\nb');
  expect(table.split('\n')).toHaveLength(4);
  expect(table.length).toBeLessThan(20_000);
});

it('errors show names escaped: a message is one line, advice another', () => {
  const error = new UserError('\x1b]0;x\x07.png: no\u202e', 'try \x9b');
  expect(describeError(error)).toBe('error: \\x1b]0;x\\x07.png: no\\u202e\n  try \\x9b');
  const text = describeError(new Error('bug \x1b[2J'));
  expect(text).toContain('bug \\x1b[2J');
  expect(text).toMatch(/\n {4}at /);
});
