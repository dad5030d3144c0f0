import { h } from '../../step/page/dom.ts';
import { EngineClient } from '../client.ts';
import type { App, ViewDefinition } from './app.ts';
import { DeviceLine } from './device-line.ts';
import { machineView } from './machine-view.ts';
import type { Example, Rated } from './rated.ts';
import { scoreView } from './score-view.ts';
import { notice } from './states.ts';
import { stepView } from './step-view.ts';
import { teachView } from './teach-view.ts';
import { trainView } from './train-view.ts';

const views: readonly ViewDefinition[] = [scoreView, trainView, teachView, machineView, stepView];
const prefix = 'clip-agiqa-webgpu ';

const main = document.querySelector('main')!;
const tabs = document.getElementById('tabs')!;
const worker = new Worker('worker.js', { type: 'module' });
const engine = new EngineClient(worker);
const line = new DeviceLine(document.getElementById('device')!, engine);

engine.onNote((note) => {
  if (note.kind !== 'keep') return;
  try {
    localStorage.setItem(note.name, note.text);
  } catch {
    // Full or forbidden: the next visit measures again.
  }
});

/** What the engine kept in earlier visits. */
function keptTexts(): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(localStorage).filter(([name]) => name.startsWith(prefix)));
  } catch {
    return {};
  }
}

let shown: HTMLElement | undefined;
function fail(error: unknown): void {
  shown?.remove();
  shown = notice(error, () => shown?.remove());
  main.before(shown);
}

async function json<T>(path: string): Promise<T> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} could not be loaded (${response.status})`);
  return response.json();
}

const opened = engine.call('open', { texts: keptTexts() });
opened.then(
  (info) => line.opened(info),
  (error: unknown) => {
    line.none();
    fail(error);
  },
);

/** Views that were looked at, by id: they stay as they were left. */
const made = new Map<string, HTMLElement>();

function show(app: App): void {
  const [id, query = ''] = location.hash.slice(1).split('?');
  const view = views.find((one) => one.id === id) ?? views[0]!;
  let element = made.get(view.id);
  if (!element) made.set(view.id, (element = view.make(app, new URLSearchParams(query))));
  for (const link of tabs.querySelectorAll('a'))
    if (link.hash === `#${view.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  document.title = `${view.title} · clip-agiqa-webgpu`;
  main.replaceChildren(element);
}

try {
  const [rated, examples] = await Promise.all([
    json<Rated>('data/rated.json'),
    json<readonly Example[]>('data/examples.json'),
  ]);
  const app: App = { engine, opened, rated, examples, fail };
  if (views.length > 1)
    tabs.replaceChildren(...views.map(({ id, title }) => h('a', { href: `#${id}` }, title)));
  window.addEventListener('hashchange', () => show(app));
  show(app);
  document.documentElement.dataset.ready = 'true';
  // For tests, and for the curious on the console.
  Object.assign(globalThis, { engine });
} catch (error) {
  fail(error);
}
