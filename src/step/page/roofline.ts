import { familyColor } from './colors.ts';
import { s } from './dom.ts';
import type { Store } from './store.ts';

const [width, height, left, bottom] = [320, 220, 40, 26];

/** Every dispatch by its operations a byte and what it reached, under the ceilings of this run; the area is its time. */
export function roofline(store: Store): HTMLElement {
  const { data, figures, view } = store;
  const { gflops, copyGBs } = data.ceilings;
  const shown = data.dispatches.flatMap((one, at) =>
    one.operations && one.bytes
      ? [{ at, one, intensity: one.operations / one.bytes, reached: one.operations / one.ns }]
      : [],
  );
  const log = Math.log10;
  const [x0, x1] = [-2, Math.max(2.4, ...shown.map(({ intensity }) => log(intensity) + 0.2))];
  const y1 = log(gflops) + 0.3;
  const y0 = y1 - 4.2;
  const x = (value: number) => left + ((log(value) - x0) / (x1 - x0)) * (width - left - 6);
  const y = (value: number) => height - bottom - ((log(value) - y0) / (y1 - y0)) * (height - bottom - 12);
  const ridge = gflops / copyGBs;
  const svg = s('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': `Roofline: ${gflops.toPrecision(3)} GFLOP/s and ${copyGBs.toPrecision(3)} GB/s`,
  });
  svg.append(
    s('polyline', {
      points: [
        [x(10 ** x0), y(10 ** x0 * copyGBs)],
        [x(ridge), y(gflops)],
        [x(10 ** x1), y(gflops)],
      ]
        .map((point) => point.join())
        .join(' '),
      fill: 'none',
      stroke: 'var(--soft)',
      'stroke-width': 1.6,
    }),
  );
  const order = [...shown].sort((a, b) => Number(a.at === view.dispatch) - Number(b.at === view.dispatch));
  for (const { at, one, intensity, reached } of order) {
    const chosen = at === view.dispatch;
    const dot = s('circle', {
      'data-d': at,
      cx: x(Math.max(10 ** x0, intensity)),
      cy: y(Math.max(10 ** y0, reached)),
      r: 2 + 9 * Math.sqrt(one.ns / figures.total),
      fill: familyColor(one.kernel),
      opacity: chosen ? 1 : 0.45,
      style: 'cursor:pointer',
      ...(chosen ? { stroke: 'var(--ink)', 'stroke-width': 2 } : {}),
    });
    dot.addEventListener('click', () => store.select(at));
    svg.append(dot);
  }
  const label = (px: number, py: number, text: string, anchor = 'start') =>
    svg.append(s('text', { x: px, y: py, class: 'soft', 'text-anchor': anchor }, text));
  label(left, height - 7, 'operations a byte →');
  label(left + 4, 10, 'GFLOP/s reached ↑');
  label(width - 4, y(gflops) - 5, `${gflops.toPrecision(3)} GFLOP/s`, 'end');
  label(x(0.02) + 4, y(0.02 * copyGBs) - 10, `${copyGBs.toPrecision(3)} GB/s`);
  for (let power = Math.ceil(y0); power < y1; power++)
    label(left - 5, y(10 ** power) + 4, String(10 ** power), 'end');
  return svg as unknown as HTMLElement;
}
