import { type Group, type Grouping, groupsOf, keys, sortOrders } from '../figures.ts';
import { amountText, percentText, timeText } from '../units.ts';
import { basis, choice, h, table } from './dom.ts';
import type { Store } from './store.ts';

const groupings: readonly Grouping[] = ['part', 'kernel', 'phase', 'dispatch'];

/** Where the time goes, by part of the model, kernel, phase or dispatch, also by what is lost against the roofline. */
export function tables(store: Store): HTMLElement {
  const panel = h('section', { class: 'panel', id: 'tables', 'aria-label': 'Where the time goes' });
  let by: Grouping = 'part';
  const draw = () => {
    const { data, figures, view } = store;
    const groups = groupsOf(data, figures, keys[by], view.sort);
    const shown = groups.slice(0, 40);
    const rows = shown.map((group) => cells(store, group));
    panel.replaceChildren(
      h(
        'div',
        { class: 'bar' },
        h('h2', {}, 'Where the time goes'),
        choice('by', groupings, by, (next) => {
          by = next;
          draw();
        }),
        choice('sort', sortOrders, view.sort, (sort) => store.set({ sort })),
      ),
      h(
        'p',
        { class: 'soft small' },
        'Wasted: time above what the ceilings of this run would allow ',
        basis('modeled'),
        '. Time ',
        basis('measured'),
        ', operations and bytes ',
        basis('counted'),
      ),
      h(
        'div',
        { class: 'scroll' },
        table([by, 'calls', 'time', 'share', 'wasted', 'operations', 'bytes', 'roofline'], rows),
      ),
    );
    if (groups.length > shown.length)
      panel.append(
        h('p', { class: 'soft small' }, `and ${groups.length - shown.length} more; the CSV has all.`),
      );
  };
  store.subscribe((changed) => {
    if (changed.has('sort')) draw();
  });
  return panel;
}

function cells(
  store: Store,
  { key, calls, ns, operations, bytes, ideal, wasted, first }: Group,
): (string | Node)[] {
  return [
    h('button', { type: 'button', class: 'link', onclick: () => store.select(first) }, key),
    String(calls),
    timeText(ns),
    percentText(ns / store.figures.total),
    timeText(wasted),
    amountText(operations, 'FLOP'),
    amountText(bytes, 'B'),
    percentText(ideal / ns),
  ];
}
