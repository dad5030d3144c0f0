import { amountText, timeText } from '../units.ts';
import { basis, h } from './dom.ts';
import type { Store } from './store.ts';

/** What the step does not do, beside what it does. */
export function ghosts(store: Store): HTMLElement {
  const { data, figures } = store;
  const panel = h(
    'section',
    { class: 'panel', id: 'ghosts', 'aria-label': 'What is not there' },
    h('h2', {}, 'What is not there'),
    h('p', { class: 'soft' }, 'Work that this step spares. Bars are operations, on one scale.'),
  );
  const most = Math.max(figures.operations, ...data.ghosts.map(({ operations }) => operations));
  const bar = (operations: number, kind: string) =>
    h('div', { class: `b ${kind}`, style: `width:${Math.max(0.3, (100 * operations) / most)}%` });
  panel.append(
    h(
      'div',
      { class: 'ghost' },
      h('div', {}, h('b', {}, 'this step'), ` ${amountText(figures.operations, 'FLOP')} `, basis('counted')),
      bar(figures.operations, 'there'),
    ),
  );
  for (const { what, why, how, operations, ns, basis: kind, dispatches, part, phase } of data.ghosts) {
    const at = data.dispatches.findIndex((one) => one.phase === phase && one.part.startsWith(part));
    panel.append(
      h(
        'div',
        { class: 'ghost' },
        h('div', {}, h('b', {}, what), ` ${amountText(operations, 'FLOP')} `, basis(kind)),
        bar(operations, 'not'),
        h(
          'p',
          { class: 'small soft' },
          `${why} ${how} At the ceilings of this run: ${timeText(ns)} `,
          basis('modeled'),
          dispatches !== null && dispatches > 0 ? `, ${dispatches} dispatches more. ` : '. ',
          at >= 0 &&
            h(
              'button',
              { type: 'button', class: 'link', onclick: () => store.select(at) },
              'Where it would be',
            ),
        ),
      ),
    );
  }
  return panel;
}
