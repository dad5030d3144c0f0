import { amountText, percentText, timeText } from '../units.ts';
import { isKept } from './layout.ts';
import type { Store } from './store.ts';

/** What is said of a part of the timeline beside the pointer; null for what has no name. */
export function describePart(store: Store, target: Element): string[] | null {
  const { data, figures } = store;
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
}
