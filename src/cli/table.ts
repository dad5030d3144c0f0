import { shortened } from '../common/errors.ts';
import { printable } from '../common/printable.ts';

export interface TableOptions {
  /** Column headings, one for each cell of a row. */
  readonly columns: readonly string[];
  /** 'l' or 'r' for each column, as one string such as `'lrr'`; missing ones are left-aligned. */
  readonly align?: string;
}

/** Longest cell in characters: longer than any path, and far from filling a screen's buffer. */
const longestCell = 4200;

/**
 * A plain-text table: headings, a rule, one line a row, columns two spaces apart, no trailing blanks. Cells may hold text from
 * outside: they are made printable.
 */
export function formatTable(
  rows: readonly (readonly (string | number)[])[],
  { columns, align = '' }: TableOptions,
): string {
  const lines = [
    columns,
    ...rows.map((row) => columns.map((_, c) => printable(shortened(String(row[c] ?? ''), longestCell)))),
  ];
  const widths = columns.map((_, c) =>
    lines.reduce((most, line) => Math.max(most, displayWidth(line[c])), 0),
  );
  const format = (line: readonly string[]) =>
    line
      .map((cell, c) => {
        const padding = ' '.repeat(widths[c] - displayWidth(cell));
        return align[c] === 'r' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [format(lines[0]), rule, ...lines.slice(1).map(format)].join('\n');
}

/** Columns a string takes on a terminal: code points, wide East Asian ones and emoji counted twice. */
function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const wide =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}/u;
