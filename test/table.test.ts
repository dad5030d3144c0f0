import { expect, test } from 'vitest';
import { formatTable } from '../src/cli/table.ts';

test('columns are aligned, headings ruled, trailing blanks left out', () => {
  const rows = [
    ['visual.proj', 32768, ''],
    ['b', 7, 'x'],
  ];
  expect(formatTable(rows, { columns: ['name', 'elements', 'note'], align: 'lrl' }).split('\n')).toEqual([
    'name         elements  note',
    '-----------  --------  ----',
    'visual.proj     32768',
    'b                   7  x',
  ]);
});

test('wide characters take two places; no rows give the headings alone', () => {
  expect(
    formatTable(
      [
        ['画像', 1],
        ['ab', 2],
      ],
      { columns: ['a', 'n'] },
    )
      .split('\n')
      .slice(2),
  ).toEqual(['画像  1', 'ab    2']);
  expect(formatTable([], { columns: ['a', 'bc'] })).toBe('a  bc\n-  --');
});
