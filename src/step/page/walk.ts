import { walkOf } from '../walk.ts';
import { h } from './dom.ts';
import type { Store } from './store.ts';

/** The guided walk: a card at the edge, and at each stop the whole page shows what it speaks of. */
export function walk(store: Store): { readonly card: HTMLElement; start(): void } {
  const stops = walkOf(store.data);
  const card = h('aside', { id: 'walk', hidden: true, 'aria-label': 'Guided walk', 'aria-live': 'polite' });
  const go = (stop: number) => {
    if (stop < 0 || stop >= stops.length) store.set({ stop: -1 });
    else {
      store.select(stops[stop]!.dispatch, { stop, from: 0, to: 1 });
      document.getElementById('timeline')?.scrollIntoView({ block: 'nearest' });
    }
  };
  store.subscribe((changed) => {
    if (!changed.has('stop')) return;
    const stop = stops[store.view.stop];
    card.hidden = !stop;
    if (!stop) return;
    const at = store.view.stop;
    card.replaceChildren(
      h('h2', {}, stop.title),
      h('p', {}, stop.sentences.join(' ')),
      h(
        'div',
        { class: 'row' },
        h('button', { type: 'button', disabled: at === 0, onclick: () => go(at - 1) }, 'Back'),
        h('button', { type: 'button', onclick: () => go(at + 1) }, at + 1 < stops.length ? 'Next' : 'Done'),
        h('button', { type: 'button', onclick: () => go(-1) }, 'Close'),
        h('span', { class: 'soft small' }, `${at + 1} of ${stops.length}`),
      ),
    );
  });
  return { card, start: () => go(Math.max(0, store.view.stop)) };
}
