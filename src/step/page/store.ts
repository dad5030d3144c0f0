import { type Figures, figuresOf, type SortOrder } from '../figures.ts';
import type { DispatchRecord, Frame, OpRecord, StepData } from '../step-data.ts';

export const widths = ['time', 'equal', 'operations', 'bytes'] as const;
export const colors = ['kernel', 'phase', 'roofline'] as const;
export type Width = (typeof widths)[number];
export type Color = (typeof colors)[number];

/** What is selected and how it is shown: all of it is in the address, so that a link shows the same. */
export interface View {
  /** The selected dispatch. */
  dispatch: number;
  /** The storage whose story is told; -1: none. */
  storage: number;
  width: Width;
  color: Color;
  sort: SortOrder;
  /** The part of the step that is in sight, 0 to 1. */
  from: number;
  to: number;
  /** The stop of the walk; -1: not walking. */
  stop: number;
}

/** A recording with what follows from it, and the view of it. */
export class Store {
  readonly data: StepData;
  readonly figures: Figures;
  readonly view: View = {
    dispatch: 0,
    storage: -1,
    width: 'time',
    color: 'kernel',
    sort: 'time',
    from: 0,
    to: 1,
    stop: -1,
  };
  readonly #listeners: ((changed: ReadonlySet<keyof View>) => void)[] = [];

  constructor(data: StepData) {
    this.data = data;
    this.figures = figuresOf(data);
    this.read(location.hash);
  }

  /** Calls `listener` after every change, and now. */
  subscribe(listener: (changed: ReadonlySet<keyof View>) => void): void {
    this.#listeners.push(listener);
    listener(new Set(Object.keys(this.view) as (keyof View)[]));
  }

  set(changes: Partial<View>): void {
    const changed = new Set<keyof View>();
    for (const [name, value] of Object.entries(changes) as [keyof View, never][])
      if (this.view[name] !== value) {
        this.view[name] = value;
        changed.add(name);
      }
    if (changed.size === 0) return;
    history.replaceState(null, '', this.hash());
    for (const listener of this.#listeners) listener(changed);
  }

  select(dispatch: number, more: Partial<View> = {}): void {
    const last = this.data.dispatches.length - 1;
    this.set({ dispatch: Math.max(0, Math.min(last, dispatch)), storage: -1, ...more });
  }

  get dispatch(): DispatchRecord {
    return this.data.dispatches[this.view.dispatch]!;
  }

  op(number: number): OpRecord | undefined {
    return this.data.ops[number];
  }

  frames(stack: number): Frame[] {
    return (this.data.stacks[stack] ?? []).map((at) => this.data.frames[at]!);
  }

  /** The first dispatch of an op; undefined where it has none, as a reshape. */
  firstOf(op: number): number | undefined {
    const at = this.data.dispatches.findIndex((one) => one.op === op);
    return at < 0 ? undefined : at;
  }

  /** The gradient of an op, or the op of a gradient. */
  partnerOf(op: number): number | undefined {
    const record = this.op(op);
    if (!record) return undefined;
    if (record.of !== null) return record.of;
    const at = this.data.ops.findIndex((one) => one.of === op);
    return at < 0 ? undefined : at;
  }

  /** The address that shows this view. */
  hash(): string {
    const { dispatch, storage, width, color, sort, from, to, stop } = this.view;
    const parts = [`d=${dispatch}`];
    if (storage >= 0) parts.push(`b=${storage}`);
    if (width !== 'time') parts.push(`w=${width}`);
    if (color !== 'kernel') parts.push(`c=${color}`);
    if (sort !== 'time') parts.push(`s=${sort}`);
    if (from > 0 || to < 1) parts.push(`z=${from.toFixed(4)}-${to.toFixed(4)}`);
    if (stop >= 0) parts.push(`walk=${stop + 1}`);
    return `#${parts.join('&')}`;
  }

  /** Takes over what an address says; what makes no sense is passed over. */
  read(hash: string): void {
    const given = new URLSearchParams(hash.replace(/^#/, ''));
    const number = (name: string) => {
      const value = Number(given.get(name));
      return given.has(name) && Number.isInteger(value) && value >= 0 ? value : undefined;
    };
    const oneOf = <T extends string>(name: string, options: readonly T[]) =>
      options.find((option) => option === given.get(name));
    const [from, to] = (given.get('z') ?? '').split('-').map(Number);
    const changes: Partial<View> = {
      dispatch: Math.min(number('d') ?? 0, this.data.dispatches.length - 1),
      storage: number('b') ?? -1,
      width: oneOf('w', widths) ?? 'time',
      color: oneOf('c', colors) ?? 'kernel',
      sort: oneOf('s', ['time', 'wasted', 'operations', 'bytes', 'order'] as const) ?? 'time',
      stop: (number('walk') ?? 0) - 1,
      ...(from !== undefined && to !== undefined && from >= 0 && to <= 1 && from < to
        ? { from, to }
        : { from: 0, to: 1 }),
    };
    Object.assign(this.view, changes);
    for (const listener of this.#listeners) listener(new Set(Object.keys(this.view) as (keyof View)[]));
  }
}
