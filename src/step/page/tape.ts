import type { OpRecord } from '../step-data.ts';
import { timeText } from '../units.ts';
import { h, s } from './dom.ts';
import type { Store } from './store.ts';

const [row, box, left, across] = [22, 292, 26, 760];
const right = across - box - 26;

/** The tape as a U: down the left what the model computed, up the right the gradients; dashed across what was kept for them. */
export function tape(store: Store): HTMLElement {
  const { data } = store;
  const onTape = data.ops.flatMap((op, number) => (op.taped ? [{ op, number }] : []));
  const places = new Map(onTape.map(({ number }, i) => [number, 6 + i * row]));
  const gradients = new Map(
    data.ops.flatMap((op, number) => (op.of === null ? [] : [[op.of, number] as const])),
  );
  const makers = new Map(onTape.map(({ op, number }) => [op.outputs[0]?.id ?? -1, number]));
  const cost = new Map<number, number>();
  for (const { op, ns } of data.dispatches) cost.set(op, (cost.get(op) ?? 0) + ns);
  const most = Math.max(1, ...cost.values());
  const height = 12 + onTape.length * row;
  const svg = s('svg', {
    viewBox: `0 0 ${across} ${height}`,
    role: 'group',
    'aria-label': 'The tape',
    style: 'min-width:560px',
  });

  const strands: SVGElement[] = [];
  for (const { op, number } of onTape)
    for (const input of op.inputs) {
      const from = input ? makers.get(input.id) : undefined;
      if (from === undefined) continue;
      const [a, b] = [places.get(from)! + row / 2, places.get(number)! + row / 2];
      if (b - a < 1.5 * row) continue;
      const bend = Math.min(22, 8 + (b - a) / row);
      strands.push(
        s('path', {
          d: `M${left} ${a}C${left - bend} ${a} ${left - bend} ${b} ${left} ${b}`,
          fill: 'none',
          stroke: 'var(--forward)',
          opacity: 0.55,
        }),
        s('path', {
          d: `M${right + box} ${b}C${right + box + bend} ${b} ${right + box + bend} ${a} ${right + box} ${a}`,
          fill: 'none',
          stroke: 'var(--backward)',
          opacity: 0.55,
        }),
      );
    }

  const cell = (number: number, op: OpRecord, x: number, y: number, label: string) => {
    const at = store.firstOf(number);
    const here = store.dispatch.op === number;
    const share = Math.sqrt((cost.get(number) ?? 0) / most);
    const group = s('g', {
      ...(at === undefined ? {} : { role: 'button', tabindex: -1, style: 'cursor:pointer' }),
      'aria-label': `${label}${cost.has(number) ? `, ${timeText(cost.get(number)!)}` : ''}`,
      'data-op': number,
    });
    group.append(
      s('rect', {
        x,
        y,
        width: box,
        height: row - 4,
        rx: 5,
        fill: op.kind === 'gradient' ? 'var(--backward)' : 'var(--forward)',
        'fill-opacity': here ? 1 : 0.12 + 0.55 * share,
        ...(here ? { stroke: 'var(--ink)', 'stroke-width': 1.5 } : {}),
      }),
      s(
        'text',
        { x: x + 8, y: y + 13, class: here ? 'on' : '' },
        label.length > 46 ? `${label.slice(0, 45)}…` : label,
      ),
    );
    if (at !== undefined) group.addEventListener('click', () => store.select(at));
    return group;
  };

  const draw = () => {
    svg.replaceChildren(...strands);
    for (const { op, number } of onTape) {
      const y = places.get(number)!;
      const gradient = gradients.get(number);
      const name = `${op.part ? `${op.part}${op.part.endsWith(op.name) ? '' : ` · ${op.name}`}` : op.name}`;
      const shape = op.outputs[0]?.shape.join('×') ?? '';
      if (gradient !== undefined)
        svg.append(
          s('line', {
            x1: left + box,
            x2: right,
            y1: y + row / 2 - 2,
            y2: y + row / 2 - 2,
            stroke: 'var(--kept)',
            'stroke-dasharray': '3 4',
            opacity: 0.7,
          }),
        );
      svg.append(cell(number, op, left, y, `${name} → ${shape}`));
      if (cost.has(number))
        svg.append(s('text', { x: left + box + 5, y: y + 13, class: 'soft' }, timeText(cost.get(number)!)));
      if (gradient === undefined) continue;
      svg.append(cell(gradient, data.ops[gradient]!, right, y, `∂ ${name}`));
      if (cost.has(gradient))
        svg.append(
          s(
            'text',
            { x: right - 5, y: y + 13, class: 'soft', 'text-anchor': 'end' },
            timeText(cost.get(gradient)!),
          ),
        );
    }
  };
  const scroller = h('div', { id: 'tape' });
  scroller.append(svg);
  store.subscribe((changed) => {
    if (!changed.has('dispatch')) return;
    draw();
    const { op } = store.dispatch;
    const y = places.get(op) ?? places.get(store.op(op)?.of ?? -1);
    if (y !== undefined) scroller.scrollTop = (y * svg.clientHeight) / height - scroller.clientHeight / 2;
  });
  return h(
    'section',
    { class: 'panel', 'aria-label': 'The tape' },
    h('h2', {}, 'The tape'),
    h(
      'p',
      { class: 'soft' },
      'Down the left the ops that depend on a parameter, up the right their gradients. A dashed line: what was kept for it. Darker: more time.',
    ),
    scroller,
  );
}
