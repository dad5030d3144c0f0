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
  const measured = lines.map((line) => line.map((cell) => ({ cell, width: displayWidth(cell) })));
  const widths = columns.map((_, c) => measured.reduce((most, line) => Math.max(most, line[c]!.width), 0));
  const format = (line: (typeof measured)[number]) =>
    line
      .map(({ cell, width }, c) => {
        const padding = ' '.repeat(widths[c]! - width);
        return align[c] === 'r' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  const [head, ...rest] = measured.map(format);
  return [head, rule, ...rest].join('\n');
}

/** Columns a string takes on a terminal: code points, wide East Asian ones and emoji counted twice. */
function displayWidth(text: string): number {
  // To part a text into what it shows takes a microsecond a character, so that is left to texts with joined ones.
  if (ascii.test(text)) return text.length;
  if (!joining.test(text)) return [...text].length + (text.match(allWide)?.length ?? 0);
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const ascii = /^[ -~]*$/;
/** Marks, joiners, skin tones, flags, and the letters that Hangul syllables are composed of. */
const joining = /\p{M}|\u200c|\u200d|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u1100-\u11ff]/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const wide =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}/u;
const allWide = new RegExp(wide, 'gu');
