import { escapeUTF8 } from 'entities';
import { style } from './style.ts';

/** Text made safe to stand in HTML. */
export const text = (value: string | number): string => escapeUTF8(String(value));

/** A page that needs nothing beside itself, of these parts; empty ones are left out. `wide`: for tables of many columns; `style`: more of it. */
export function htmlPage(
  title: string,
  body: readonly string[],
  options: { readonly script?: string; readonly wide?: boolean; readonly style?: string } = {},
): string {
  const { script = '', wide = false, style: more = '' } = options;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${text(title)}</title>
<style>${style}${more}</style>
</head>
<body${wide ? ' class="wide"' : ''}>
${body.filter((part) => part !== '').join('\n')}${script === '' ? '' : `\n<script>${script}</script>`}
</body>
</html>
`;
}

/** A list of facts; the values are text. */
export function facts(entries: readonly (readonly [string, string])[]): string {
  const list = entries
    .map(([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`)
    .join('');
  return `<dl class="facts">${list}</dl>`;
}

export const section = (title: string, content: string): string =>
  `<section><h2>${text(title)}</h2>${content}</section>`;

/** A figure in a card of its own; the caption is text. */
export const card = (title: string, svg: string, caption: string): string =>
  `<figure class="card"><h2>${text(title)}</h2>${svg}<figcaption>${text(caption)}</figcaption></figure>`;

/** Rows of text, the first cell of each its heading; `label` is for those who hear the page. Scrolls by keyboard where it is wide. */
export function table(
  columns: readonly string[],
  rows: readonly (readonly [string, readonly string[]])[],
  label: string,
): string {
  const head = columns.map((name) => `<th scope="col">${text(name)}</th>`).join('');
  const lines = rows.map(
    ([name, cells]) =>
      `<tr><th scope="row">${text(name)}</th>${cells.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`,
  );
  return `<div class="scroll" tabindex="0" role="region" aria-label="${text(label)}"><table><thead><tr>${head}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`;
}

/** Seconds as people say them. */
export const duration = (seconds: number): string =>
  seconds < 90
    ? `${seconds.toFixed(0)} s`
    : seconds < 5400
      ? `${(seconds / 60).toFixed(1)} min`
      : `${(seconds / 3600).toFixed(1)} h`;
