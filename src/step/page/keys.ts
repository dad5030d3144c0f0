import { h } from './dom.ts';
import type { Store } from './store.ts';

const help: readonly (readonly [string, string])[] = [
  ['← →', 'dispatch before, after (with Shift: the one that took longest before, after)'],
  ['Home End', 'first, last dispatch'],
  ['p', 'from an op to its gradient, and back'],
  ['n', 'next dispatch of the same kernel'],
  ['+ − 0', 'zoom in, out, the whole step'],
  ['w', 'the walk; then Enter on Next'],
  ['Esc', 'end the walk, close what is open'],
  ['?', 'this help'],
];

/** Keys for everything; the browser's own stay its own. */
export function keyboard(store: Store, start: () => void): () => void {
  const dialog = h('dialog', { 'aria-label': 'Keys' });
  dialog.append(
    h('h2', {}, 'Keys'),
    h(
      'table',
      {},
      h(
        'tbody',
        {},
        ...help.map(([key, what]) =>
          h(
            'tr',
            {},
            h('td', {}, ...key.split(' ').flatMap((one) => [h('kbd', {}, one), ' '])),
            h('td', {}, what),
          ),
        ),
      ),
    ),
    h(
      'p',
      { class: 'soft small' },
      'On the timeline the wheel zooms with Ctrl or Shift, and dragging moves. The address always leads back to what is shown.',
    ),
    h('form', { method: 'dialog' }, h('button', {}, 'Close')),
  );
  document.body.append(dialog);
  const show = () => dialog.showModal();
  const { dispatches } = store.data;
  const long =
    [...dispatches].map(({ ns }) => ns).sort((a, b) => b - a)[Math.floor(dispatches.length / 10)] ?? 0;
  const zoom = (factor: number) => {
    const { from, to } = store.view;
    const [middle, half] = [(from + to) / 2, Math.min(0.5, Math.max(0.001, ((to - from) * factor) / 2))];
    const left = Math.max(0, Math.min(1 - 2 * half, middle - half));
    store.set({ from: left, to: left + 2 * half });
  };
  const acts: Record<string, (shift: boolean) => void> = {
    ArrowRight: (shift) =>
      store.select(shift ? next((at) => dispatches[at]!.ns >= long) : store.view.dispatch + 1),
    ArrowLeft: (shift) =>
      store.select(shift ? previous((at) => dispatches[at]!.ns >= long) : store.view.dispatch - 1),
    Home: () => store.select(0),
    End: () => store.select(dispatches.length - 1),
    n: () => store.select(next((at) => dispatches[at]!.kernel === store.dispatch.kernel)),
    p: () => {
      const other = store.partnerOf(store.dispatch.op);
      const at = other === undefined ? undefined : store.firstOf(other);
      if (at !== undefined) store.select(at);
    },
    '+': () => zoom(0.5),
    '=': () => zoom(0.5),
    '-': () => zoom(2),
    '0': () => store.set({ from: 0, to: 1 }),
    w: start,
    Escape: () => store.set({ stop: -1, storage: -1 }),
    '?': show,
  };
  const next = (fits: (at: number) => boolean) => {
    for (let at = store.view.dispatch + 1; at < dispatches.length; at++) if (fits(at)) return at;
    return store.view.dispatch;
  };
  const previous = (fits: (at: number) => boolean) => {
    for (let at = store.view.dispatch - 1; at >= 0; at--) if (fits(at)) return at;
    return store.view.dispatch;
  };
  window.addEventListener('keydown', (event) => {
    const target = event.target as Element;
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (target.closest('input,textarea,select')) return;
    const scrolls = target.closest('pre') && /^(?:Arrow|Home|End)/.test(event.key);
    const act = acts[event.key];
    if (!act || scrolls) return;
    event.preventDefault();
    act(event.shiftKey);
  });
  return show;
}
