import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { writeOutput } from '../common/files.ts';
import type { ComparableStep } from './compare-steps.ts';
import type { StepData } from './step-data.ts';

const built = (name: string) => readFileSync(new URL(`./${name}`, import.meta.url), 'utf8');

/**
 * Writes a recording as one page that needs nothing else: script, style and data are in it, and it may not load anything.
 *
 * @param other an earlier recording that it is compared with
 */
export async function writeStepPage(
  path: string,
  data: StepData,
  other: ComparableStep | null = null,
): Promise<void> {
  await writeOutput(path, stepPage(data, other));
}

export function stepPage(data: StepData, other: ComparableStep | null = null): string {
  const packed = (id: string, value: ComparableStep) =>
    `<script type="application/octet-stream" id="${id}">${gzipSync(JSON.stringify(value), { level: 9 }).toString('base64')}</script>`;
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escaped(data.title)}</title>
<style>${built('step-page.css')}</style>
</head>
<body>
<a class="skip" href="#selection">Skip to the selection</a>
<main><p>Unpacking…</p><noscript><p>This page draws itself with a script that is part of it; scripts are turned off.</p></noscript></main>
${packed('data', data)}
${other ? packed('other-data', other) : ''}
<script type="module">${built('step-page.js').replaceAll('</script', '<\\/script')}</script>
</body>
</html>
`;
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
