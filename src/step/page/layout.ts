import { type Figures, isAlive } from '../figures.ts';
import type { Lifetime, StepData } from '../step-data.ts';
import type { Width } from './store.ts';

/** Where each dispatch stands on the axis, 0 to 1; one more for the end. */
export function positions(data: StepData, figures: Figures, width: Width): number[] {
  const weigh = data.dispatches.map((one) => {
    if (width === 'time') return one.ns;
    if (width === 'operations') return one.operations ?? 0;
    return width === 'bytes' ? (one.bytes ?? 0) : 1;
  });
  // What has no width at all could not be seen or clicked.
  const total = weigh.reduce((sum, one) => sum + one, 0) || 1;
  const least = total / weigh.length / 60;
  const shown = weigh.map((one) => Math.max(one, least));
  const sum = shown.reduce((all, one) => all + one, 0);
  const found = [0];
  for (const one of shown) found.push(found.at(-1)! + one / sum);
  found[found.length - 1] = figures.total > 0 ? 1 : 0;
  return found;
}

/** A call of the model's: the dispatches [from, to) that share the first `level` names. */
export interface Call {
  readonly level: number;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Phase, then the parts of the model's names. */
export function pathOf({ phase, part }: { readonly phase: string; readonly part: string }): string[] {
  return [
    phase,
    ...part
      .replace(/\bblocks\.(\d+)/, 'block $1')
      .split('.')
      .filter(Boolean),
  ];
}

/** The tree of calls, level by level. */
export function callsOf(data: StepData): Call[] {
  const paths = data.dispatches.map(pathOf);
  const depth = Math.max(...paths.map((path) => path.length));
  const calls: Call[] = [];
  for (let level = 0; level < depth; level++)
    for (let from = 0; from < paths.length; ) {
      const key = paths[from]!.slice(0, level + 1).join('/');
      let to = from + 1;
      while (to < paths.length && paths[to]!.slice(0, level + 1).join('/') === key) to++;
      const name = paths[from]![level];
      if (name !== undefined) calls.push({ level, name, from, to });
      from = to;
    }
  return calls;
}

/** Storage as a rectangle: dispatches across, bytes up. */
export interface Box {
  readonly life: Lifetime;
  readonly index: number;
  readonly bottom: number;
}

/** Lifetimes packed without overlap, the largest first at the bottom. */
export function packed(data: StepData): { boxes: Box[]; height: number } {
  const count = data.dispatches.length;
  const end = ({ to }: Lifetime) => to ?? count;
  const area = (life: Lifetime) => life.capacity * (end(life) - life.from);
  const order = [...data.lifetimes.entries()]
    .filter(([, life]) => end(life) > life.from)
    .sort(([, a], [, b]) => area(b) - area(a));
  const boxes: Box[] = [];
  for (const [index, life] of order) {
    const beside = boxes
      .filter(({ life: other }) => other.from < end(life) && life.from < end(other))
      .sort((a, b) => a.bottom - b.bottom);
    let bottom = 0;
    for (const other of beside) {
      if (other.bottom - bottom >= life.capacity) break;
      bottom = Math.max(bottom, other.bottom + other.life.capacity);
    }
    boxes.push({ life, index, bottom });
  }
  return { boxes, height: Math.max(1, ...boxes.map(({ bottom, life }) => bottom + life.capacity)) };
}

/** Dispatches that bind storage while it was allocated as it is at dispatch `at`. */
export function usesOf(
  data: StepData,
  storage: number,
  at: number,
): { at: number; access: 'read' | 'write'; label: string }[] {
  const life = data.lifetimes.find((one) => one.storage === storage && isAlive(one, at));
  const [from, to] = life ? [life.from, life.to ?? data.dispatches.length] : [0, data.dispatches.length];
  return data.dispatches
    .slice(from, to)
    .flatMap(({ uses }, i) =>
      uses
        .filter((use) => use.storage === storage)
        .map(({ access, label }) => ({ at: from + i, access, label })),
    );
}

/** Kept from forward to backward. */
export function isKept(data: StepData, { from, to }: Lifetime): boolean {
  const last = data.dispatches[Math.min(to ?? data.dispatches.length, data.dispatches.length) - 1];
  return data.dispatches[from]?.phase === 'forward' && last !== undefined && last.phase !== 'forward';
}
