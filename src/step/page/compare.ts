import { type ComparableStep, type ComparedPart, compareSteps, differences } from '../compare-steps.ts';
import { amountText, timeText } from '../units.ts';
import { basis, h, table } from './dom.ts';
import type { Store } from './store.ts';
import { readRecording } from './unpack.ts';

/** A second recording beside this one: another adapter, other settings, before and after a change. Nothing is sent anywhere. */
export function compare(store: Store, given: ComparableStep | null): HTMLElement {
  const result = h('div', { 'aria-live': 'polite' });
  const input = h('input', { type: 'file', accept: '.json,.html', class: 'sr', id: 'other' });
  const drop = h(
    'div',
    { class: 'drop' },
    'Drop another recording here, or ',
    h('label', { for: 'other', class: 'button' }, 'choose one'),
    input,
    ': a page like this one, or what ',
    h('code', {}, '--json'),
    ' wrote. It stays on this machine.',
  );
  const read = async (file: Blob | undefined) => {
    if (!file) return;
    try {
      show(await readRecording(file));
    } catch (error) {
      result.replaceChildren(h('p', { class: 'up' }, `That is no recording: ${(error as Error).message}`));
    }
  };
  input.addEventListener('change', () => void read(input.files?.[0]));
  for (const type of ['dragover', 'dragleave', 'drop'] as const)
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', type === 'dragover');
      if (type === 'drop') void read(event.dataTransfer?.files[0]);
    });
  const show = (other: ComparableStep) => {
    const { total, parts } = compareSteps(other, store.data);
    const changed = differences(other, store.data);
    const shown = parts.slice(0, 30);
    result.replaceChildren(
      h(
        'p',
        {},
        `Before: ${other.title}, ${other.made.slice(0, 16).replace('T', ' ')}. After: this page. `,
        changed.length ? `What differs: ${changed.join('; ')}.` : 'Settings and adapter are the same.',
      ),
      h(
        'div',
        { class: 'scroll' },
        table(
          ['part', 'before', 'after', 'change', 'dispatches', 'operations', 'kernels'],
          [total, ...shown].map((part) => cells(store, part)),
          (column) => column > 0 && column < 6,
        ),
      ),
      h(
        'p',
        { class: 'soft small' },
        'Times ',
        basis('measured'),
        ', the rest ',
        basis('counted'),
        parts.length > shown.length
          ? `; ${parts.length - shown.length} parts with smaller changes are left out`
          : '',
      ),
    );
  };
  if (given) show(given);
  return h(
    'section',
    { class: 'panel', id: 'compare', 'aria-label': 'Compare' },
    h('h2', {}, 'Compare'),
    drop,
    result,
  );
}

function cells(store: Store, { key, a, b }: ComparedPart): (string | Node)[] {
  const both = a && b;
  const change = both ? b.ns / a.ns - 1 : 0;
  const text = both ? `${change >= 0 ? '+' : '−'}${Math.abs(100 * change).toFixed(0)} %` : a ? 'gone' : 'new';
  const kind = Math.abs(change) < 0.05 ? '' : change > 0 ? 'up' : 'down';
  const at = store.data.dispatches.findIndex(
    ({ phase, part, op }) => [phase, part, store.data.ops[op]?.name].filter(Boolean).join(' ') === key,
  );
  const arrow = (x: string | undefined, y: string | undefined) =>
    x === y ? (x ?? '–') : `${x ?? '–'} → ${y ?? '–'}`;
  return [
    at < 0 ? key : h('button', { type: 'button', class: 'link', onclick: () => store.select(at) }, key),
    a ? timeText(a.ns) : '–',
    b ? timeText(b.ns) : '–',
    h('span', { class: kind }, text),
    arrow(a?.dispatches.toString(), b?.dispatches.toString()),
    arrow(
      (a && amountText(a.operations, 'FLOP')) || undefined,
      (b && amountText(b.operations, 'FLOP')) || undefined,
    ),
    arrow(a?.kernels.join(', ') || undefined, b?.kernels.join(', ') || undefined),
  ];
}
