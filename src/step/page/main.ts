import type { ComparableStep } from '../compare-steps.ts';
import { timeText } from '../units.ts';
import { alive } from './alive.ts';
import { card } from './card.ts';
import { compare } from './compare.ts';
import { h } from './dom.ts';
import { ghosts } from './ghosts.ts';
import { header } from './header.ts';
import { keptRecording, NothingKept, savePage } from './kept.ts';
import { keyboard } from './keys.ts';
import { modelSource, shaderSource } from './sources.ts';
import { Store } from './store.ts';
import { tables } from './tables.ts';
import { tape } from './tape.ts';
import { timeline } from './timeline.ts';
import { unpack } from './unpack.ts';
import { walk } from './walk.ts';

const main = document.querySelector('main')!;

try {
  const text = (id: string) => document.getElementById(id)?.textContent ?? '';
  const kept = text('data') === '';
  const store = new Store(kept ? await keptRecording() : await unpack(text('data')));
  const other = text('other-data');
  const guide = walk(store);
  const help = keyboard(store, guide.start);
  const said = h('p', { class: 'sr', 'aria-live': 'polite' });
  main.replaceChildren(
    header(store, guide.start, help),
    timeline(store),
    h('div', { class: 'three', id: 'selection' }, card(store), modelSource(store), shaderSource(store)),
    h('div', { class: 'two' }, tape(store), alive(store)),
    tables(store),
    ghosts(store),
    compare(store, other === '' ? null : await unpack<ComparableStep>(other)),
    said,
  );
  if (kept)
    document
      .getElementById('tools')!
      .append(
        h('button', { type: 'button', onclick: () => void savePage(store.data) }, 'This page as one file'),
      );
  document.body.append(guide.card);
  store.subscribe((changed) => {
    if (!changed.has('dispatch')) return;
    const { kernel, part, ns } = store.dispatch;
    said.textContent = `Dispatch ${store.view.dispatch}, ${kernel}, ${part}, ${timeText(ns)}`;
  });
  window.addEventListener('hashchange', () => store.read(location.hash));
  document.documentElement.dataset.ready = 'true';
} catch (error) {
  main.replaceChildren(
    error instanceof NothingKept
      ? h(
          'p',
          {},
          'No step was recorded in this browser yet: ',
          h('a', { href: './#step' }, 'record one'),
          '.',
        )
      : h(
          'p',
          {},
          `This page cannot be shown: ${(error as Error).message}. It needs a browser of 2023 or later.`,
        ),
  );
  if (!(error instanceof NothingKept)) throw error;
}
