import { familyNames, familyOf, phaseColor, roofColor } from './colors.ts';
import { choice, h } from './dom.ts';
import { colors, type Store, widths } from './store.ts';

/** What is set above the timeline, and what its colors mean below. */
export function drawControls(
  store: Store,
  controls: HTMLElement,
  legend: HTMLElement,
  zoom: { readonly by: (factor: number) => void; readonly whole: () => void },
): void {
  const { view, data } = store;
  const button = (label: string, title: string, act: () => void, disabled = false) =>
    h('button', { type: 'button', title, 'aria-label': title, disabled, onclick: act }, label);
  controls.replaceChildren(
    h('h2', {}, 'The step'),
    choice('width', widths, view.width, (width) => store.set({ width })),
    choice('color', colors, view.color, (color) => store.set({ color })),
    h(
      'span',
      { class: 'choice' },
      button('−', 'Zoom out', () => zoom.by(2), view.to - view.from >= 1),
      button('+', 'Zoom in', () => zoom.by(0.5)),
      button('whole', 'The whole step', zoom.whole, view.to - view.from >= 1),
    ),
  );
  const entry = (color: string, name: string) =>
    h('span', {}, h('i', { style: `background:${color}` }), name);
  const shown = new Set(data.dispatches.map(({ kernel }) => familyOf(kernel)));
  const colorEntries = {
    kernel: familyNames
      .map((name, i) => [name, `var(--k${i})`] as const)
      .filter(([name]) => shown.has(name))
      .map(([name, color]) => entry(color, name)),
    phase: (['forward', 'backward', 'update'] as const).map((phase) => entry(phaseColor(phase), phase)),
    roofline: [0, 0.1, 0.4, 1].map((share) => entry(roofColor(share), `${100 * share} %`)),
  }[view.color];
  legend.replaceChildren(
    ...colorEntries,
    entry('var(--kept)', 'memory kept for the gradient'),
    entry('var(--pass)', 'passing'),
    entry('var(--read)', 'read now'),
    entry('var(--write)', 'written now'),
  );
}
