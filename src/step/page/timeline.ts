import { amountText, percentText, timeText } from '../units.ts';
import { familyColor, phaseColor, roofColor } from './colors.ts';
import { h, s } from './dom.ts';
import { type Call, callsOf, isKept, packed, positions } from './layout.ts';
import type { Store } from './store.ts';
import { drawControls } from './timeline-controls.ts';
import { tip } from './tip.ts';

const [row, laneHeight, memoryHeight] = [18, 38, 132];

/** The step from left to right: who asked, the dispatches, and the memory they need. */
export function timeline(store: Store): HTMLElement {
  const { data, figures } = store;
  const calls = callsOf(data);
  const depth = 1 + Math.max(...calls.map(({ level }) => level));
  const memory = packed(data);
  const laneTop = 16 + depth * row + 6;
  const memoryTop = laneTop + laneHeight + 24;
  const height = memoryTop + memoryHeight + 20;
  const svg = s('svg', { id: 'timeline', role: 'group', 'aria-label': 'Timeline of the step' });
  const controls = h('div', { class: 'bar' });
  const legend = h('div', { class: 'legend' });
  let across = 1000;

  function draw(): void {
    const { view } = store;
    const places = positions(data, figures, view.width);
    const x = (place: number) => ((place - view.from) / (view.to - view.from)) * across;
    const start = (i: number) => x(places[i]!);
    const end = (i: number) => x(places[i + 1]!);
    svg.setAttribute('viewBox', `0 0 ${across} ${height}`);
    svg.setAttribute('height', String(height));
    svg.replaceChildren(text(0, 10, 'who asked: phase, then the parts of the model', 'soft'));
    for (const call of calls) drawCall(call, start(call.from), end(call.to - 1));
    const lane = s('g', sliderState());
    for (const [i, one] of data.dispatches.entries()) {
      const [a, b] = [start(i), end(i)];
      if (b < 0 || a > across) continue;
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
    svg.append(lane);
    drawMemory((i) => x(places[i]!));
    const middle = (start(view.dispatch) + end(view.dispatch)) / 2;
    svg.append(
      s('line', {
        x1: middle,
        x2: middle,
        y1: laneTop + laneHeight,
        y2: memoryTop + memoryHeight,
        stroke: 'var(--ink)',
        'stroke-dasharray': '2 3',
      }),
    );
    if (view.width === 'time') {
      const at = (place: number) => timeText(place * figures.total);
      svg.append(text(0, height - 4, at(view.from), 'soft'));
      svg.append(text(across, height - 4, at(view.to), 'soft', 'end'));
    }
  }

  function drawCall({ level, name, from, to }: Call, a: number, b: number): void {
    if (b < 0 || a > across || b - a < 0.7) return;
    const y = 15 + level * row;
    const { phase } = data.dispatches[from]!;
    svg.append(
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
    if (b - left > 26) svg.append(text(left, y + 12, cut(name, b - left - 4), 'on'));
  }

  function drawMemory(at: (i: number) => number): void {
    const count = data.dispatches.length;
    const scale = memoryHeight / memory.height;
    const used = new Map(store.dispatch.uses.map(({ storage, access }) => [storage, access]));
    svg.append(
      text(
        0,
        memoryTop - 6,
        across < 620
          ? `memory, ${amountText(figures.peak.bytes, 'B')} at most`
          : `memory in use, ${amountText(figures.peak.bytes, 'B')} at most: click for what is alive then, and why`,
        'soft',
      ),
    );
    for (const { life, index, bottom } of memory.boxes) {
      const [a, b] = [at(life.from), at(life.to ?? count)];
      if (b < 0 || a > across) continue;
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
      svg.append(
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
    svg.append(s('line', { x1: 0, x2: across, y1: base, y2: base, stroke: 'var(--line)' }));
    if (peak >= 0 && peak <= across)
      svg.append(s('path', { d: `M${peak} ${memoryTop - 2}l-4 -6h8z`, fill: 'var(--ink)' }));
  }

  function sliderState() {
    const { dispatch } = store.view;
    const { kernel, part, ns } = store.dispatch;
    return {
      role: 'slider',
      tabindex: 0,
      'aria-label': 'Dispatch',
      'aria-orientation': 'horizontal',
      'aria-valuemin': 0,
      'aria-valuemax': data.dispatches.length - 1,
      'aria-valuenow': dispatch,
      'aria-valuetext': `${dispatch}: ${kernel}, ${part || 'outside of the model'}, ${timeText(ns)}`,
    };
  }

  const describe = (target: Element): string[] | null => {
    const { d, from, to, life } = (target as SVGElement).dataset;
    if (d !== undefined) {
      const one = data.dispatches[Number(d)]!;
      return [
        `${d} · ${one.kernel}`,
        one.part,
        `${timeText(one.ns)} · ${amountText(one.operations ?? 0, 'FLOP')} · ${amountText(one.bytes ?? 0, 'B')} · ${percentText(figures.marks[Number(d)]!.share)} of the roofline`,
      ];
    }
    if (from !== undefined) {
      const all = data.dispatches.slice(Number(from), Number(to));
      const ns = all.reduce((sum, one) => sum + one.ns, 0);
      return [
        target.nextElementSibling?.textContent ?? '',
        `${all.length} dispatches, ${timeText(ns)}, ${percentText(ns / figures.total)} of the step. Click to zoom`,
      ];
    }
    if (life !== undefined) {
      const one = data.lifetimes[Number(life)]!;
      const maker = store.op(one.op);
      return [
        `${amountText(one.bytes, 'B')}, buffer ${one.storage}`,
        `${isKept(data, one) ? 'kept for the gradient' : 'passing'}; asked for by ${maker ? `${maker.kind === 'gradient' ? 'the gradient of ' : ''}${maker.part} ${maker.name}` : 'the tape'}`,
        `from dispatch ${one.from} to ${one.to ?? 'the end'}`,
      ];
    }
    return null;
  };

  const zoom = (from: number, to: number) => {
    const width = Math.min(1, Math.max(0.002, to - from));
    const left = Math.max(0, Math.min(1 - width, from));
    store.set({ from: left, to: left + width });
  };
  const zoomBy = (factor: number, center = 0.5) => {
    const { from, to } = store.view;
    const at = from + center * (to - from);
    zoom(at - center * (to - from) * factor, at + (1 - center) * (to - from) * factor);
  };
  const clicked = (target: Element, place: number) => {
    const { d, from, to, life } = (target as SVGElement).dataset;
    const places = positions(data, figures, store.view.width);
    if (d !== undefined) store.select(Number(d));
    else if (from !== undefined) {
      const [a, b] = [places[Number(from)]!, places[Number(to)]!];
      const inside = store.view.to - store.view.from < (b - a) * 1.05;
      if (inside) zoom(0, 1);
      else zoom(a, b);
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
  };

  let drag: { readonly x: number; readonly from: number; readonly to: number; moved: boolean } | null = null;
  const placeOf = (event: MouseEvent) => {
    const box = svg.getBoundingClientRect();
    return store.view.from + ((event.clientX - box.left) / box.width) * (store.view.to - store.view.from);
  };
  svg.addEventListener('pointerdown', (event) => {
    drag = { x: event.clientX, from: store.view.from, to: store.view.to, moved: false };
  });
  svg.addEventListener('pointermove', (event) => {
    if (drag) {
      const dx = event.clientX - drag.x;
      if (Math.abs(dx) > 4 && drag.to - drag.from < 1) {
        drag.moved = true;
        const by = (dx / svg.clientWidth) * (drag.to - drag.from);
        zoom(drag.from - by, drag.to - by);
      }
    }
    const lines = event.pointerType === 'mouse' && !drag?.moved ? describe(event.target as Element) : null;
    tip(lines, event.clientX, event.clientY);
  });
  svg.addEventListener('pointerleave', () => tip(null));
  window.addEventListener('pointerup', () => {
    setTimeout(() => {
      drag = null;
    });
  });
  svg.addEventListener('click', (event) => {
    if (!drag?.moved) clicked(event.target as Element, placeOf(event));
  });
  svg.addEventListener(
    'wheel',
    (event) => {
      // Without a modifier the page scrolls, as anywhere.
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      zoomBy(Math.exp((event.deltaY || event.deltaX) * 0.003), (event.clientX - box.left) / box.width);
    },
    { passive: false },
  );

  const panel = h('section', { class: 'panel', 'aria-label': 'The step' }, controls);
  panel.append(svg, legend);
  new ResizeObserver(() => {
    across = Math.max(280, svg.clientWidth);
    draw();
  }).observe(svg);
  store.subscribe((changed) => {
    const hadFocus = svg.contains(document.activeElement);
    draw();
    if (hadFocus) svg.querySelector<SVGElement>('[role=slider]')?.focus();
    if (changed.has('width') || changed.has('color') || changed.has('from') || changed.has('to'))
      drawControls(store, controls, legend, { by: zoomBy, whole: () => zoom(0, 1) });
  });
  return panel;
}

function text(x: number, y: number, content: string, kind = '', anchor = 'start'): SVGElement {
  return s('text', { x, y, class: kind, 'text-anchor': anchor }, content);
}

/** As much of a text as fits into so many pixels. */
function cut(content: string, pixels: number): string {
  const room = Math.floor(pixels / 6.1);
  return content.length <= room ? content : room < 3 ? '' : `${content.slice(0, room - 1)}…`;
}
