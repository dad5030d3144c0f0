import { isAlive } from '../figures.ts';
import type { Lifetime } from '../step-data.ts';
import { amountText } from '../units.ts';
import { basis, h, table } from './dom.ts';
import { usesOf } from './layout.ts';
import type { Store } from './store.ts';

/** What is in memory while the selected dispatch runs, who made it, and what it waits for. */
export function alive(store: Store): HTMLElement {
  const panel = h('section', { class: 'panel', 'aria-label': 'Alive at this moment' });
  store.subscribe((changed) => {
    if (!changed.has('dispatch') && !changed.has('storage')) return;
    const { data, figures, view } = store;
    const lives = data.lifetimes
      .filter((life) => isAlive(life, view.dispatch))
      .sort((a, b) => b.capacity - a.capacity);
    const rows = lives
      .slice(0, 12)
      .map((life) => [
        h(
          'button',
          { type: 'button', class: 'link', onclick: () => store.set({ storage: life.storage }) },
          amountText(life.bytes, 'B'),
        ),
        madeBy(store, life),
        waitsFor(store, life),
      ]);
    const rest = lives.slice(12);
    const there = new Map<string, number>();
    for (const { kind, bytes } of data.residents) there.set(kind, (there.get(kind) ?? 0) + bytes);
    const plural: Record<string, string> = {
      weight: 'frozen weights',
      parameter: 'parameters',
      optimizer: 'optimizer state',
      input: 'inputs',
      other: 'other',
    };
    panel.replaceChildren(
      h('h2', {}, `Alive at dispatch ${view.dispatch}`),
      h(
        'p',
        { class: 'soft' },
        `${lives.length} buffers, ${amountText(figures.live[view.dispatch] ?? 0, 'B')} as the pool rounds them; `,
        h(
          'button',
          { type: 'button', class: 'link', onclick: () => store.select(figures.peak.at) },
          `the most is ${amountText(figures.peak.bytes, 'B')} at dispatch ${figures.peak.at}`,
        ),
        ' ',
        basis('counted'),
      ),
      h(
        'div',
        { class: 'scroll' },
        table(['size', 'made by', 'why it is still there'], rows, (column) => column === 0),
      ),
    );
    if (rest.length > 0)
      panel.append(
        h(
          'p',
          { class: 'soft small' },
          `and ${rest.length} smaller ones, ${amountText(
            rest.reduce((sum, life) => sum + life.capacity, 0),
            'B',
          )}`,
        ),
      );
    panel.append(
      h(
        'p',
        { class: 'soft small' },
        `Besides, there from before the step: ${[...there].map(([kind, bytes]) => `${plural[kind]} ${amountText(bytes, 'B')}`).join(', ')}.`,
      ),
    );
  });
  return panel;
}

function madeBy(store: Store, { op, storage, from }: Lifetime): HTMLElement {
  const record = store.op(op);
  const first = usesOf(store.data, storage, from).find(({ access }) => access === 'write');
  const name = record
    ? `${record.kind === 'gradient' ? 'gradient of ' : ''}${record.part ? `${record.part} ` : ''}${record.name}`
    : 'the tape or the optimizer';
  return first ? link(store, first.at, name) : h('span', {}, name);
}

function waitsFor(store: Store, { storage, from, to }: Lifetime): HTMLElement {
  const now = store.view.dispatch;
  const next = usesOf(store.data, storage, from).find(({ at }) => at >= now);
  if (!next)
    return h('span', { class: 'soft' }, to === null ? 'it outlives the step' : 'its scope ends later');
  const { kernel, phase, part } = store.data.dispatches[next.at]!;
  if (next.at === now)
    return h('span', {}, `${next.access === 'read' ? 'read' : 'written'} now, as ${next.label}`);
  const verb = next.access === 'read' ? 'read' : 'written';
  return h(
    'span',
    {},
    `${verb} by `,
    link(store, next.at, `${next.at} ${kernel}`),
    ` (${phase}${part ? `, ${part}` : ''})`,
  );
}

function link(store: Store, at: number, text: string): HTMLElement {
  return h('button', { type: 'button', class: 'link', onclick: () => store.select(at) }, text);
}
