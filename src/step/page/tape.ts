import type { OpRecord } from '../step-data.ts';
import { timeText } from '../units.ts';
import { h, s } from './dom.ts';
import type { Store } from './store.ts';

const [row, box, left, across] = [22, 292, 26, 760];
const right = across - box - 26;

/** The tape as a U: down the left what the model computed, up the right the gradients; dashed across what was kept for them. */
export function tape(store: Store): HTMLElement {
  return h(
    'section',
    { class: 'panel', 'aria-label': 'The tape' },
    h('h2', {}, 'The tape'),
    h(
      'p',
      { class: 'soft' },
      'Down the left the ops that depend on a parameter, up the right their gradients. A dashed line: what was kept for it. Darker: more time.',
    ),
    new Tape(store).scroller,
  );
}

interface Numbered {
  readonly op: OpRecord;
  readonly number: number;
}

class Tape {
  readonly scroller = h('div', { id: 'tape' });
  readonly #store: Store;
  readonly #ops: readonly Numbered[];
  /** Where an op's row begins, by its number. */
  readonly #places: ReadonlyMap<number, number>;
  /** The numbers of gradients, by their ops'. */
  readonly #gradients: ReadonlyMap<number, number>;
  /** Nanoseconds, by number. */
  readonly #cost = new Map<number, number>();
  readonly #svg: SVGElement;

  constructor(store: Store) {
    this.#store = store;
    const { ops, dispatches } = store.data;
    this.#ops = ops.flatMap((op, number) => (op.taped ? [{ op, number }] : []));
    this.#places = new Map(this.#ops.map(({ number }, i) => [number, 6 + i * row]));
    this.#gradients = new Map(
      ops.flatMap((op, number) => (op.of === null ? [] : [[op.of, number] as const])),
    );
    for (const { op, ns } of dispatches) this.#cost.set(op, (this.#cost.get(op) ?? 0) + ns);
    const height = 12 + this.#ops.length * row;
    this.#svg = s('svg', {
      viewBox: `0 0 ${across} ${height}`,
      role: 'group',
      'aria-label': 'The tape',
      style: 'min-width:560px',
    });
    this.scroller.append(this.#svg);
    const strands = this.#strands();
    store.subscribe((changed) => {
      if (!changed.has('dispatch')) return;
      this.#svg.replaceChildren(...strands);
      for (const one of this.#ops) this.#drawRow(one);
      const { op } = store.dispatch;
      const y = this.#places.get(op) ?? this.#places.get(store.op(op)?.of ?? -1);
      if (y !== undefined)
        this.scroller.scrollTop = (y * this.#svg.clientHeight) / height - this.scroller.clientHeight / 2;
    });
  }

  /** From ops to those further down that use what they made, and back up between the gradients. */
  #strands(): SVGElement[] {
    const makers = new Map(this.#ops.map(({ op, number }) => [op.outputs[0]?.id ?? -1, number]));
    const strand = (x: number, bend: number, a: number, b: number, stroke: string) =>
      s('path', {
        d: `M${x} ${a}C${x + bend} ${a} ${x + bend} ${b} ${x} ${b}`,
        fill: 'none',
        stroke,
        opacity: 0.55,
      });
    return this.#ops.flatMap(({ op, number }) =>
      op.inputs.flatMap((input) => {
        const from = input ? makers.get(input.id) : undefined;
        if (from === undefined) return [];
        const [a, b] = [this.#places.get(from)! + row / 2, this.#places.get(number)! + row / 2];
        if (b - a < 1.5 * row) return [];
        const bend = Math.min(22, 8 + (b - a) / row);
        return [
          strand(left, -bend, a, b, 'var(--forward)'),
          strand(right + box, bend, b, a, 'var(--backward)'),
        ];
      }),
    );
  }

  #drawRow({ op, number }: Numbered): void {
    const svg = this.#svg;
    const y = this.#places.get(number)!;
    const gradient = this.#gradients.get(number);
    const name = op.part ? `${op.part}${op.part.endsWith(op.name) ? '' : ` · ${op.name}`}` : op.name;
    const shape = op.outputs[0]?.shape.join('×') ?? '';
    const time = (of: number, x: number, anchor: string) => {
      const ns = this.#cost.get(of);
      if (ns !== undefined)
        svg.append(s('text', { x, y: y + 13, class: 'soft', 'text-anchor': anchor }, timeText(ns)));
    };
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
    svg.append(this.#cell(number, op, left, y, `${name} → ${shape}`));
    time(number, left + box + 5, 'start');
    if (gradient === undefined) return;
    svg.append(this.#cell(gradient, this.#store.data.ops[gradient]!, right, y, `∂ ${name}`));
    time(gradient, right - 5, 'end');
  }

  #cell(number: number, op: OpRecord, x: number, y: number, label: string): SVGElement {
    const at = this.#store.firstOf(number);
    const here = this.#store.dispatch.op === number;
    const cost = this.#cost.get(number);
    const share = Math.sqrt((cost ?? 0) / Math.max(1, ...this.#cost.values()));
    const group = s('g', {
      ...(at === undefined ? {} : { role: 'button', tabindex: -1, style: 'cursor:pointer' }),
      'aria-label': `${label}${cost === undefined ? '' : `, ${timeText(cost)}`}`,
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
    if (at !== undefined) group.addEventListener('click', () => this.#store.select(at));
    return group;
  }
}
