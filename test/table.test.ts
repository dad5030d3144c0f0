import { expect, test } from 'vitest';
import { formatTable } from '../src/cli/table.ts';
import { figureText } from '../src/common/figure-text.ts';

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

test('a figure has its decimals, or a dash where it is not defined', () => {
  expect([0.12345, -2, 0].map((figure) => figureText(figure))).toEqual(['0.1235', '-2.0000', '0.0000']);
  expect(figureText(0.4567, 2)).toBe('0.46');
  expect([-0.004, -0, -0.005].map((figure) => figureText(figure, 2))).toEqual(['0.00', '0.00', '-0.01']);
  expect([Number.NaN, Infinity, null, undefined].map((figure) => figureText(figure))).toEqual([
    '—',
    '—',
    '—',
    '—',
  ]);
});
