import type { Values } from '../step-data.ts';
import { amountText, percentText, timeText } from '../units.ts';
import { basis, h, s } from './dom.ts';
import { usesOf } from './layout.ts';
import { roofline } from './roofline.ts';
import type { Store } from './store.ts';

const number = (value: number) => (value === 0 ? '0' : Number(value.toPrecision(4)).toString());

/** The selected dispatch: what it is, what it costs, what it reads and writes, and what came of it. */
export function card(store: Store): HTMLElement {
  const panel = h('section', { class: 'panel', 'aria-label': 'The selected dispatch' });
  store.subscribe((changed) => {
    if (changed.has('dispatch') || changed.has('storage')) panel.replaceChildren(...contents(store));
  });
  return panel;
}

function contents(store: Store): HTMLElement[] {
  const { data, figures, view } = store;
  const one = store.dispatch;
  const mark = figures.marks[view.dispatch]!;
  const op = store.op(one.op);
  const row = (name: string, ...what: (Node | string)[]) =>
    h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, ...what));
  const list = (values: Readonly<Record<string, number | string>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${typeof value === 'number' ? number(value) : value}`)
      .join(', ') || 'none';
  const shapes = (tensors: readonly ({ readonly shape: readonly number[] } | null)[]) =>
    tensors.map((tensor) => (tensor ? `[${tensor.shape.join(', ')}]` : '–')).join(' · ');
  const rows = [
    row('part', one.part || 'outside of the model'),
    row(
      'op',
      op ? `${op.kind === 'gradient' ? 'gradient of ' : ''}${op.name}` : 'none: the tape or the optimizer',
      ' ',
      ...partner(store),
    ),
    ...(op ? [row('shapes', `${shapes(op.inputs)} → ${shapes(op.outputs)}`)] : []),
    row(
      'time',
      h('b', {}, timeText(one.ns)),
      ` (${timeText(one.least)} to ${timeText(one.most)}${one.repeats && one.repeats > 1 ? `; mean of ${one.repeats} in a row` : ''}) `,
      basis('measured'),
    ),
    row(
      'operations',
      one.operations === null
        ? 'its shader does not say'
        : `${amountText(one.operations, 'FLOP')}, ${amountText((one.operations / one.ns) * 1e9, 'FLOP/s')} `,
      basis('counted'),
    ),
    row(
      'least traffic',
      one.bytes === null
        ? 'its shader does not say'
        : `${amountText(one.bytes, 'B')}, ${amountText((one.bytes / one.ns) * 1e9, 'B/s')} `,
      basis('counted'),
    ),
    row(
      'roofline',
      `${percentText(mark.share)}, bound by ${mark.bound}; at the ceiling it would take ${timeText(mark.ideal)}, so ${timeText(mark.wasted)} are lost `,
      basis('modeled'),
    ),
    row('workgroups', one.groups.join(' × ')),
    row('constants', list(one.constants)),
    row('parameters', list(one.params)),
  ];
  const values = one.op >= 0 ? data.values[one.op] : null;
  return [
    h('h2', {}, `${view.dispatch} · ${one.kernel}`),
    h('table', { class: 'facts' }, h('tbody', {}, ...rows)),
    h('h3', {}, 'Reads and writes'),
    h('div', { class: 'scroll' }, h('table', {}, h('tbody', {}, ...bound(store)))),
    ...story(store),
    h('h3', {}, 'On the roofline of this machine'),
    roofline(store),
    ...(values && op
      ? pictures(values, op.kind === 'gradient' ? 'What its op gave: a gradient' : 'What its op made')
      : []),
  ];
}

/** Forward to backward, and back. */
function partner(store: Store): HTMLElement[] {
  const { op } = store.dispatch;
  const other = store.partnerOf(op);
  const at = other === undefined ? undefined : store.firstOf(other);
  if (at === undefined) return [];
  const label = store.op(op)!.kind === 'gradient' ? 'to its op' : 'to its gradient';
  return [
    h(
      'button',
      { type: 'button', class: 'link', title: 'Key: p', onclick: () => store.select(at) },
      `→ ${label}`,
    ),
  ];
}

function bound(store: Store): HTMLElement[] {
  const names = new Map(store.data.residents.map(({ storage, name }) => [storage, name]));
  return store.dispatch.uses.map(({ storage, access, bytes, label }) =>
    h(
      'tr',
      { class: storage === store.view.storage ? 'on' : undefined },
      h('td', { class: access === 'read' ? 'r' : 'w' }, access === 'read' ? 'reads' : 'writes'),
      h('td', {}, h('b', {}, label)),
      h('td', { class: 'n' }, amountText(bytes, 'B')),
      h(
        'td',
        {},
        h(
          'button',
          { type: 'button', class: 'link', 'data-storage': storage, onclick: () => store.set({ storage }) },
          names.get(storage) ?? `buffer ${storage}`,
        ),
      ),
    ),
  );
}

/** Who wrote the chosen buffer and who reads it. */
function story(store: Store): HTMLElement[] {
  const { storage, dispatch } = store.view;
  if (storage < 0) return [];
  const uses = usesOf(store.data, storage, dispatch);
  const link = ({ at, label }: (typeof uses)[number]) =>
    h(
      'button',
      { type: 'button', class: 'link', onclick: () => store.select(at, { storage }) },
      `${at} ${store.data.dispatches[at]!.kernel} (${label})`,
    );
  const lines = (access: 'read' | 'write') =>
    uses.filter((use) => use.access === access).flatMap((use) => [link(use), h('br')]);
  const writers = lines('write');
  return [
    h('h3', {}, `Buffer ${storage}`),
    h(
      'p',
      { class: 'small' },
      h('span', { class: 'w' }, 'Written by '),
      ...(writers.length ? writers : ['what came before the step']),
    ),
    h('p', { class: 'small' }, h('span', { class: 'r' }, 'Read by '), ...lines('read')),
  ];
}

function pictures(values: Values, title: string): HTMLElement[] {
  const canvas = h('canvas', {
    width: values.width,
    height: values.height,
    role: 'img',
    'aria-label': `Values of shape ${values.shape.join(' by ')}, blue below zero, red above`,
    style: `aspect-ratio:${Math.max(1.2, Math.min(3, values.width / values.height))}`,
  });
  paint(canvas, values);
  const most = Math.max(1, ...values.histogram);
  const bars = s(
    'svg',
    {
      viewBox: '0 0 128 60',
      role: 'img',
      'aria-label': 'Histogram of the values',
      preserveAspectRatio: 'none',
      height: 84,
    },
    ...values.histogram.map((count, i) => {
      const height = (56 * Math.log1p(count)) / Math.log1p(most);
      return s('rect', { x: 4 * i, y: 58 - height, width: 3.4, height, fill: 'var(--k0)' });
    }),
  );
  const facts = [
    `mean ${number(values.mean)}`,
    `std ${number(values.std)}`,
    `${number(values.min)} to ${number(values.max)}`,
    `${values.nan} NaN`,
    ...(values.infinite ? [`${values.infinite} infinite`] : []),
    ...(values.zeros ? [`${percentText(values.zeros / values.count)} zeros`] : []),
  ].join(' · ');
  return [
    h('h3', {}, title),
    h(
      'div',
      { class: 'vals' },
      canvas,
      h(
        'div',
        {},
        bars as unknown as HTMLElement,
        h('span', { class: 'soft small' }, 'counts, on a logarithmic scale'),
      ),
    ),
    h(
      'p',
      { class: 'small soft' },
      `[${values.shape.join(', ')}] · ${facts} · full color at ±${number(values.top)} `,
      basis('measured'),
    ),
    h(
      'p',
      { class: 'small' },
      values.error === null
        ? 'Not compared with float64: this op has no form there yet.'
        : values.error === 0
          ? 'No difference from float64. '
          : `Largest difference from float64: ${values.error.toExponential(1)} of the largest value `,
      ...(values.error === null ? [] : [basis('measured')]),
    ),
  ];
}

function paint(canvas: HTMLCanvasElement, { width, height, pixels }: Values): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const image = context.createImageData(width, height);
  const bytes = atob(pixels);
  for (let i = 0; i < bytes.length; i++) {
    const value = (bytes.charCodeAt(i) - 128) / 120;
    const [r, g, b] = value < 0 ? [30, 90, 200] : [200, 60, 30];
    const share = Math.min(1, Math.abs(value));
    const mix = (channel: number) => 255 - share * (255 - channel);
    image.data.set([mix(r!), mix(g!), mix(b!), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
