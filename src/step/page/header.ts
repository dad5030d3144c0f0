import { csvOf, traceOf } from '../export-step.ts';
import { amountText, percentText, timeText } from '../units.ts';
import { type Basis, basis, h } from './dom.ts';
import type { Store } from './store.ts';

/** What this is, in one sentence and eight figures. */
export function header(store: Store, start: () => void, help: () => void): HTMLElement {
  const { data, figures } = store;
  const { adapter, times, ceilings } = data;
  const tile = (figure: string, what: string, kind: Basis) =>
    h('div', { class: 'tile' }, h('b', {}, figure), h('span', {}, what), basis(kind));
  const forward = data.ops.filter(({ kind }) => kind === 'forward').length;
  const weights = String(data.settings.weights ?? '');
  return h(
    'header',
    {},
    h('h1', {}, `${data.title}: ${data.dispatches.length} dispatches`),
    h(
      'p',
      { class: 'lead' },
      `${data.batch} images, ${weights === 'embedded' ? 'the embedded small model' : weights}, on ${adapter.name}${adapter.software ? ' (a software adapter, so times are long)' : ''}, ${data.made.slice(0, 10)}. `,
      `Select anything: the op, its gradient, the line that asked, the WGSL, the buffers and the values follow. Times are medians of ${data.rounds} replays, each dispatch in a pass of its own${repeatedText(data)}.`,
    ),
    h(
      'div',
      { class: 'bar', id: 'tools', style: 'margin-top:10px' },
      h('button', { type: 'button', onclick: start }, 'Take the walk'),
      h('button', { type: 'button', onclick: help }, 'Keys'),
      h(
        'button',
        { type: 'button', onclick: () => save('step.trace.json', traceOf(data), 'application/json') },
        'Trace for Perfetto',
      ),
      h('button', { type: 'button', onclick: () => save('step.csv', csvOf(data), 'text/csv') }, 'CSV'),
      h(
        'button',
        { type: 'button', onclick: () => save('step.json', JSON.stringify(data), 'application/json') },
        'JSON',
      ),
    ),
    h(
      'div',
      { class: 'tiles' },
      tile(timeText(times.wall), 'a step, as it runs', 'measured'),
      tile(timeText(times.host), 'of it the host: encode, submit', 'measured'),
      tile(timeText(figures.total), `${data.dispatches.length} dispatches, timed apart`, 'measured'),
      tile(amountText(figures.operations, 'FLOP'), 'arithmetic', 'counted'),
      tile(amountText(figures.bytes, 'B'), 'least traffic', 'counted'),
      tile(amountText(figures.peak.bytes, 'B'), 'peak memory', 'counted'),
      tile(percentText(figures.ideal / figures.total), 'of the roofline', 'modeled'),
      tile(
        `${ceilings.gflops.toPrecision(3)} GFLOP/s`,
        `and ${ceilings.copyGBs.toPrecision(3)} GB/s: the ceilings`,
        'measured',
      ),
      tile(`${forward} + ${data.ops.length - forward}`, 'ops forward, gradients back', 'counted'),
    ),
    lanes(store),
  );
}

/** What a coarse clock makes of times. */
function repeatedText({ dispatches, resolution }: Store['data']): string {
  const most = Math.max(1, ...dispatches.map(({ repeats = 1 }) => repeats));
  return most === 1
    ? ''
    : `; since the clock here moves by ${timeText(resolution)}, each ran up to ${most} times back to back, with what it reads in the caches, and its time is the mean`;
}

/** Host and GPU on one clock: what of a running step the host takes, what the GPU is busy, and what is idle or overhead. */
function lanes({ data, figures }: Store): HTMLElement {
  const { wall, host, profiled } = data.times;
  const end = Math.max(wall, figures.total, profiled);
  const lane = (name: string, parts: readonly (readonly [number, string, string])[], text: string) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row', style: 'width:1%;white-space:nowrap' }, name),
      h(
        'td',
        { style: 'min-width:120px' },
        h(
          'div',
          { style: 'display:flex;height:14px', role: 'img', 'aria-label': `${name}: ${text}` },
          ...parts.map(([ns, color, title]) =>
            h('div', {
              style: `width:${(100 * ns) / end}%;background:${color};border-radius:3px;margin-right:1px`,
              title,
            }),
          ),
        ),
      ),
      h('td', { class: 'soft small', style: 'width:42%' }, text),
    );
  const hatch = 'repeating-linear-gradient(135deg,var(--line) 0 4px,transparent 4px 8px)';
  const rest = Math.max(0, wall - host);
  return h(
    'table',
    { style: 'margin-top:12px' },
    h(
      'tbody',
      {},
      lane(
        'host',
        [
          [host, 'var(--k1)', 'encode and submit'],
          [rest, hatch, 'waits'],
        ],
        `encodes and submits for ${timeText(host)}, then waits`,
      ),
      lane(
        'GPU',
        [
          ...(['forward', 'backward', 'update'] as const).map((phase) => {
            const ns = data.dispatches
              .filter((one) => one.phase === phase)
              .reduce((sum, one) => sum + one.ns, 0);
            return [ns, `var(--${phase})`, `${phase}: ${timeText(ns)}`] as const;
          }),
          [Math.max(0, profiled - figures.total), hatch, 'between passes'] as const,
        ],
        `${timeText(figures.total)} in dispatches; ${timeText(Math.max(0, profiled - figures.total))} between passes when each is timed`,
      ),
    ),
  );
}

function save(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
