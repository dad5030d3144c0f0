import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { Marked } from 'marked';

/** The lessons: chapters of the course, a page a kernel, and what was tried in vain. */
const sources = [
  ...['course', 'kernels'].flatMap((folder) =>
    readdirSync(join('docs', folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
  'what-did-not-work.md',
];

const pageOf = (source) => source.replace(/README\.md$/, 'index.html').replace(/\.md$/, '.html');
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** Writes them as pages below a folder. Links between them stay; what they name besides is in the package's docs/. */
export function writeLessons(out) {
  for (const source of sources) {
    const text = readFileSync(join('docs', source), 'utf8');
    const up = source.includes('/') ? '../' : '';
    const renderer = {
      link({ href, tokens }) {
        const inner = this.parser.parseInline(tokens);
        if (/^https?:/.test(href)) return `<a href="${escaped(href)}" rel="noreferrer">${inner}</a>`;
        const [path, anchor] = href.split('#');
        const target = path === '' ? source : posix.normalize(posix.join(posix.dirname(source), path));
        if (!sources.includes(target)) return inner;
        return `<a href="${escaped(path === '' ? '' : up + pageOf(target))}${anchor ? `#${escaped(anchor)}` : ''}">${inner}</a>`;
      },
      heading({ tokens, depth, text: title }) {
        const id = title
          .toLowerCase()
          .replace(/[^\w\- ]/g, '')
          .replaceAll(' ', '-');
        return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      // What can be scrolled must be reached by keyboard.
      code({ text: code, lang }) {
        return `<pre tabindex="0" class="${escaped(lang ?? '')}"><code>${escaped(code)}\n</code></pre>\n`;
      },
    };
    const body = new Marked({ renderer }).parse(text);
    const title = /^# (.*)$/m.exec(text)?.[1] ?? source;
    const path = join(out, pageOf(source));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, page(title, body, up));
  }
}

const page = (title, body, up) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; base-uri 'none'; form-action 'none'">
<title>${escaped(title)} · clip-agiqa-webgpu</title>
<link rel="icon" href="${up}../icon.svg">
<link rel="stylesheet" href="${up}../lessons.css">
</head>
<body>
<nav aria-label="Lessons"><a href="${up}../index.html">The pages</a> <a href="${up}course/index.html">The course</a> <a href="${up}kernels/index.html">Kernels</a> <a href="${up}what-did-not-work.html">What did not work</a></nav>
<main class="lesson">
${body}</main>
</body>
</html>
`;
