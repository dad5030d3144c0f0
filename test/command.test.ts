import { expect, test } from 'vitest';
import { createCommand, describeError } from '../src/cli/command.ts';
import { UserError } from '../src/common/errors.ts';

test("a user's mistake is its message and advice, a bug its stack with causes", () => {
  expect(describeError(new UserError('data.csv: no column mos', 'Name it with --mos-column.'))).toBe(
    'error: data.csv: no column mos\n  Name it with --mos-column.',
  );
  expect(describeError(new UserError('no adapter'))).toBe('error: no adapter');
  const bug = describeError(new Error('odd', { cause: new RangeError('inner') }));
  expect(bug).toMatch(/^Error: odd\n +at [\s\S]*\ncaused by RangeError: inner\n +at /);
  expect(describeError('text')).toBe('error: text');
});

test('help names the built file and ends with the examples', () => {
  let help = '';
  const command = createCommand('score', 'Scores images.', ['node dist/score.js a.png   # one image']);
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  expect(help).toMatch(/^Usage: node dist\/score\.js \[options\]\n\nScores images\./);
  expect(help).toMatch(/\nExamples:\n {2}node dist\/score\.js a\.png {3}# one image\n$/);
});
