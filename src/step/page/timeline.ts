import { amountText, timeText } from '../units.ts';
import { familyColor, phaseColor, roofColor } from './colors.ts';
import { h, s } from './dom.ts';
import { type Call, callsOf, isKept, packed, positions } from './layout.ts';
import type { Store } from './store.ts';
import { drawControls } from './timeline-controls.ts';
import { describePart } from './timeline-tips.ts';
import { tip } from './tip.ts';

const [row, laneHeight, memoryHeight] = [18, 38, 132];

/** The step from left to right: who asked, the dispatches, and the memory they need. */
export const timeline = (store: Store): HTMLElement => new Timeline(store).panel;

class Timeline {
  readonly panel: HTMLElement;
  readonly #store: Store;
  readonly #calls: Call[];
  readonly #memory: ReturnType<typeof packed>;
  readonly #laneTop: number;
  readonly #memoryTop: number;
  readonly #height: number;
  readonly #svg = s('svg', { id: 'timeline', role: 'group', 'aria-label': 'Timeline of the step' });
  /** Pixels. */
  #across = 1000;
  #drag: { readonly x: number; readonly from: number; readonly to: number; moved: boolean } | null = null;

  constructor(store: Store) {
    this.#store = store;
    this.#calls = callsOf(store.data);
    this.#memory = packed(store.data);
    const depth = 1 + Math.max(...this.#calls.map(({ level }) => level));
    this.#laneTop = 16 + depth * row + 6;
    this.#memoryTop = this.#laneTop + laneHeight + 24;
    this.#height = this.#memoryTop + memoryHeight + 20;
    const controls = h('div', { class: 'bar' });
    const legend = h('div', { class: 'legend' });
    this.panel = h('section', { class: 'panel', 'aria-label': 'The step' }, controls);
    this.panel.append(this.#svg, legend);
    this.#listen();
    new ResizeObserver(() => {
      this.#across = Math.max(280, this.#svg.clientWidth);
      this.#draw();
    }).observe(this.#svg);
    const zoom = { by: (factor: number) => this.#zoomBy(factor), whole: () => this.#zoom(0, 1) };
    store.subscribe((changed) => {
      const hadFocus = this.#svg.contains(document.activeElement);
      this.#draw();
      if (hadFocus) this.#svg.querySelector<SVGElement>('[role=slider]')?.focus();
      if (changed.has('width') || changed.has('color') || changed.has('from') || changed.has('to'))
        drawControls(store, controls, legend, zoom);
    });
  }

  #draw(): void {
    const { view, data, figures } = this.#store;
    const places = positions(data, figures, view.width);
    const x = (place: number) => ((place - view.from) / (view.to - view.from)) * this.#across;
    const start = (i: number) => x(places[i]!);
    const end = (i: number) => x(places[i + 1]!);
    this.#svg.setAttribute('viewBox', `0 0 ${this.#across} ${this.#height}`);
    this.#svg.setAttribute('height', String(this.#height));
    this.#svg.replaceChildren(text(0, 10, 'who asked: phase, then the parts of the model', 'soft'));
    for (const call of this.#calls) this.#drawCall(call, start(call.from), end(call.to - 1));
    this.#drawLane(start, end);
    this.#drawMemory((i) => x(places[i]!));
    const middle = (start(view.dispatch) + end(view.dispatch)) / 2;
    this.#svg.append(
      s('line', {
        x1: middle,
        x2: middle,
        y1: this.#laneTop + laneHeight,
        y2: this.#memoryTop + memoryHeight,
        stroke: 'var(--ink)',
        'stroke-dasharray': '2 3',
      }),
    );
    if (view.width === 'time') {
      const at = (place: number) => timeText(place * figures.total);
      this.#svg.append(text(0, this.#height - 4, at(view.from), 'soft'));
      this.#svg.append(text(this.#across, this.#height - 4, at(view.to), 'soft', 'end'));
    }
  }

  #drawLane(start: (i: number) => number, end: (i: number) => number): void {
    const { view, data, figures } = this.#store;
    const laneTop = this.#laneTop;
    const lane = s('g', this.#sliderState());
    for (const [i, one] of data.dispatches.entries()) {
      const [a, b] = [start(i), end(i)];
      if (b < 0 || a > this.#across) continue;
      const fill =
        view.color === 'kernel'
          ? familyColor(one.kernel)
          : view.color === 'phase'
            ? phaseColor(one.phase)
            : roofColor(figures.marks[i]!.share);
      const chosen = i === view.dispatch;
      lane.append(
        s('rect', {
          class: chosen ? 'd sel' : 'd',
          'data-d': i,
          x: a,
          y: laneTop,
          fill,
          width: Math.max(0.6, b - a - 0.5),
          height: laneHeight,
          rx: b - a > 6 ? 2 : 0,
        }),
      );
      if (b - a > 52) {
        const left = Math.max(a, 0) + 5;
        lane.append(text(left, laneTop + 16, cut(one.kernel, b - left - 4), 'on'));
        lane.append(text(left, laneTop + 30, cut(timeText(one.ns), b - left - 4), 'on'));
      }
    }
    this.#svg.append(lane);
  }

  #drawCall({ level, name, from, to }: Call, a: number, b: number): void {
    if (b < 0 || a > this.#across || b - a < 0.7) return;
    const y = 15 + level * row;
    const { phase } = this.#store.data.dispatches[from]!;
    this.#svg.append(
      s('rect', {
        class: 'call',
        'data-from': from,
        'data-to': to,
        x: a,
        y,
        rx: 2,
        height: row - 2,
        width: Math.max(0.6, b - a - 0.7),
        fill: phaseColor(phase),
        opacity: 0.98 - 0.09 * level,
      }),
    );
    const left = Math.max(a, 0) + 4;
    if (b - left > 26) this.#svg.append(text(left, y + 12, cut(name, b - left - 4), 'on'));
  }

  #drawMemory(at: (i: number) => number): void {
    const store = this.#store;
    const { data, figures } = store;
    const memoryTop = this.#memoryTop;
    const count = data.dispatches.length;
    const scale = memoryHeight / this.#memory.height;
    const used = new Map(store.dispatch.uses.map(({ storage, access }) => [storage, access]));
    this.#svg.append(
      text(
        0,
        memoryTop - 6,
        this.#across < 620
          ? `memory, ${amountText(figures.peak.bytes, 'B')} at most`
          : `memory in use, ${amountText(figures.peak.bytes, 'B')} at most: click for what is alive then, and why`,
        'soft',
      ),
    );
    for (const { life, index, bottom } of this.#memory.boxes) {
      const [a, b] = [at(life.from), at(life.to ?? count)];
      if (b < 0 || a > this.#across) continue;
      const here = life.from <= store.view.dispatch && store.view.dispatch < (life.to ?? count);
      const access = here ? used.get(life.storage) : undefined;
      const picked = here && life.storage === store.view.storage;
      const fill = picked
        ? 'var(--accent)'
        : access
          ? `var(--${access})`
          : isKept(data, life)
            ? 'var(--kept)'
            : 'var(--pass)';
      this.#svg.append(
        s('rect', {
          class: 'life',
          'data-life': index,
          x: a,
          fill,
          opacity: access || picked ? 1 : 0.66,
          y: memoryTop + memoryHeight - (bottom + life.capacity) * scale,
          width: Math.max(0.6, b - a - 0.4),
          height: Math.max(0.6, life.capacity * scale - 0.5),
        }),
      );
    }
    const [peak, base] = [at(figures.peak.at), memoryTop + memoryHeight];
    this.#svg.append(s('line', { x1: 0, x2: this.#across, y1: base, y2: base, stroke: 'var(--line)' }));
    if (peak >= 0 && peak <= this.#across)
      this.#svg.append(s('path', { d: `M${peak} ${memoryTop - 2}l-4 -6h8z`, fill: 'var(--ink)' }));
  }

  #sliderState() {
    const { dispatch } = this.#store.view;
    const { kernel, part, ns } = this.#store.dispatch;
    return {
      role: 'slider',
      tabindex: 0,
      'aria-label': 'Dispatch',
      'aria-orientation': 'horizontal',
      'aria-valuemin': 0,
      'aria-valuemax': this.#store.data.dispatches.length - 1,
      'aria-valuenow': dispatch,
      'aria-valuetext': `${dispatch}: ${kernel}, ${part || 'outside of the model'}, ${timeText(ns)}`,
    };
  }

  #zoom(from: number, to: number): void {
    const width = Math.min(1, Math.max(0.002, to - from));
    const left = Math.max(0, Math.min(1 - width, from));
    this.#store.set({ from: left, to: left + width });
  }

  #zoomBy(factor: number, center = 0.5): void {
    const { from, to } = this.#store.view;
    const at = from + center * (to - from);
    this.#zoom(at - center * (to - from) * factor, at + (1 - center) * (to - from) * factor);
  }

  #clicked(target: Element, place: number): void {
    const store = this.#store;
    const { data, view } = store;
    const { d, from, to, life } = (target as SVGElement).dataset;
    const places = positions(data, store.figures, view.width);
    if (d !== undefined) store.select(Number(d));
    else if (from !== undefined) {
      const [a, b] = [places[Number(from)]!, places[Number(to)]!];
      const inside = view.to - view.from < (b - a) * 1.05;
      if (inside) this.#zoom(0, 1);
      else this.#zoom(a, b);
      if (!inside) store.select(Number(from));
    } else {
      const at = Math.max(
        0,
        places.findLastIndex((one) => one <= place),
      );
      const { storage } = life === undefined ? { storage: -1 } : data.lifetimes[Number(life)]!;
      if (life !== undefined || place >= 0)
        store.select(Math.min(at, data.dispatches.length - 1), { storage });
    }
  }

  /** Where a pointer is across the part in view, 0 to 1. */
  #shareOf(event: MouseEvent): number {
    const box = this.#svg.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  }

  #listen(): void {
    const [store, svg] = [this.#store, this.#svg];
    svg.addEventListener('pointerdown', (event) => {
      this.#drag = { x: event.clientX, from: store.view.from, to: store.view.to, moved: false };
    });
    svg.addEventListener('pointermove', (event) => this.#moved(event));
    svg.addEventListener('pointerleave', () => tip(null));
    window.addEventListener('pointerup', () => {
      setTimeout(() => {
        this.#drag = null;
      });
    });
    svg.addEventListener('click', (event) => {
      const { from, to } = store.view;
      if (!this.#drag?.moved)
        this.#clicked(event.target as Element, from + this.#shareOf(event) * (to - from));
    });
    svg.addEventListener(
      'wheel',
      (event) => {
        // Without a modifier the page scrolls, as anywhere.
        if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
        event.preventDefault();
        this.#zoomBy(Math.exp((event.deltaY || event.deltaX) * 0.003), this.#shareOf(event));
      },
      { passive: false },
    );
  }

  #moved(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag) {
      const dx = event.clientX - drag.x;
      if (Math.abs(dx) > 4 && drag.to - drag.from < 1) {
        drag.moved = true;
        const by = (dx / this.#svg.clientWidth) * (drag.to - drag.from);
        this.#zoom(drag.from - by, drag.to - by);
      }
    }
    const shown = event.pointerType === 'mouse' && !drag?.moved;
    tip(shown ? describePart(this.#store, event.target as Element) : null, event.clientX, event.clientY);
  }
}

function text(x: number, y: number, content: string, kind = '', anchor = 'start'): SVGElement {
  return s('text', { x, y, class: kind, 'text-anchor': anchor }, content);
}

/** As much of a text as fits into so many pixels. */
function cut(content: string, pixels: number): string {
  const room = Math.floor(pixels / 6.1);
  return content.length <= room ? content : room < 3 ? '' : `${content.slice(0, room - 1)}…`;
}
