import { stepPageHtml } from '../page-html.ts';
import type { StepData } from '../step-data.ts';
import { gunzipped } from './unpack.ts';

/** Where a page keeps the step that it recorded last, in the browser's cache. */
const cacheName = 'clip-agiqa-webgpu step';
const entry = 'data/step.json';

/** Nothing was recorded, or the browser has thrown it away. */
export class NothingKept extends Error {}

/** Keeps a recording for `step.html`, in place of the one before. @throws where the browser forbids storage */
export async function keepRecording(data: StepData): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.put(entry, new Response(gzipped(data)));
}

export async function keptRecording(): Promise<StepData> {
  const found = await (await caches.open(cacheName)).match(entry);
  if (!found?.body) throw new NothingKept('no step is kept');
  return gunzipped(found.body);
}

const gzipped = (data: StepData) =>
  new Blob([JSON.stringify(data)]).stream().pipeThrough(new CompressionStream('gzip'));

/** Saves a recording as a page that needs nothing else, as `node dist/step.js` writes it. */
export async function savePage(data: StepData): Promise<void> {
  const text = async (path: string) => {
    const response = await fetch(path);
    if (!response.ok) throw new Error(`${path} could not be loaded (${response.status})`);
    return response.text();
  };
  const [script, style] = await Promise.all([text('step-page.js'), text('step-page.css')]);
  const bytes = new Uint8Array(await new Response(gzipped(data)).arrayBuffer());
  const html = stepPageHtml({ title: data.title, data: base64(bytes), script, style });
  const url = URL.createObjectURL(new Blob([html], { type: 'text/html' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = 'step.html';
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 32768)
    text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}
