/** What the page is made of: recordings as base64 of gzip of JSON, and its script and style as text. */
export interface StepPageParts {
  readonly title: string;
  readonly data: string;
  /** An earlier recording that it is compared with. */
  readonly other?: string | undefined;
  readonly script: string;
  readonly style: string;
}

/** A recording as one page that needs nothing else: script, style and data are in it, and it may not load anything. */
export function stepPageHtml({ title, data, other, script, style }: StepPageParts): string {
  const packed = (id: string, text: string) =>
    `<script type="application/octet-stream" id="${id}">${text}</script>`;
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#selection">Skip to the selection</a>
<main><p>Unpacking…</p><noscript><p>This page draws itself with a script that is part of it; scripts are turned off.</p></noscript></main>
${packed('data', data)}
${other ? packed('other-data', other) : ''}
<script type="module">${script.replaceAll('</script', '<\\/script')}</script>
</body>
</html>
`;
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
