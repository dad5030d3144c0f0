import type { DispatchRecord, Lifetime, StepData } from './step-data.ts';

/** What follows from a recording: the page, the table and the tests take it from here alone. */
export interface Figures {
  /** Sum of all dispatches' times, nanoseconds. */
  readonly total: number;
  readonly operations: number;
  readonly bytes: number;
  /** Of all: what the dispatches would take at the roofline. */
  readonly ideal: number;
  /** By dispatch. */
  readonly marks: readonly Mark[];
  /** Bytes allocated from the pool, before each dispatch and after the last. */
  readonly live: readonly number[];
  readonly peak: { readonly bytes: number; readonly at: number };
}

export interface Mark {
  /** Nanoseconds at the roofline, modeled: the larger of operations and bytes over the ceilings. */
  readonly ideal: number;
  /** Of the roofline, 0 to 1; may exceed it a little, since ceilings and times are measured apart. */
  readonly share: number;
  /** Nanoseconds above the roofline. */
  readonly wasted: number;
  readonly bound: 'arithmetic' | 'memory';
  /** Where it begins on the sum of times. */
  readonly begin: number;
}

export function figuresOf(data: StepData): Figures {
  const { gflops, copyGBs } = data.ceilings;
  let begin = 0;
  const marks = data.dispatches.map(({ ns, operations, bytes }): Mark => {
    const [compute, move] = [(operations ?? 0) / gflops, (bytes ?? 0) / copyGBs];
    const ideal = Math.max(compute, move);
    const mark: Mark = {
      ideal,
      share: ns > 0 ? ideal / ns : 1,
      wasted: Math.max(0, ns - ideal),
      bound: compute > move ? 'arithmetic' : 'memory',
      begin,
    };
    begin += ns;
    return mark;
  });
  const live = liveBytes(data.lifetimes, data.dispatches.length);
  const peak = Math.max(0, ...live);
  return {
    total: begin,
    operations: sumOf(data.dispatches, (one) => one.operations ?? 0),
    bytes: sumOf(data.dispatches, (one) => one.bytes ?? 0),
    ideal: sumOf(marks, (mark) => mark.ideal),
    marks,
    live,
    peak: { bytes: peak, at: Math.max(0, live.indexOf(peak)) },
  };
}

/** Whether storage is allocated while dispatch `at` runs. */
export const isAlive = ({ from, to }: Lifetime, at: number): boolean =>
  from <= at && (to === null || at < to);

function liveBytes(lifetimes: readonly Lifetime[], count: number): number[] {
  const live = new Array<number>(count + 1).fill(0);
  for (const lifetime of lifetimes)
    for (let at = lifetime.from; at <= count && isAlive(lifetime, at); at++) live[at]! += lifetime.capacity;
  return live;
}

/** Dispatches that share a key, together. */
export interface Group {
  readonly key: string;
  readonly calls: number;
  readonly ns: number;
  readonly operations: number;
  readonly bytes: number;
  readonly ideal: number;
  readonly wasted: number;
  /** The first of them. */
  readonly first: number;
}

export const sortOrders = ['time', 'wasted', 'operations', 'bytes', 'order'] as const;
export type SortOrder = (typeof sortOrders)[number];

/** By key, the largest first. */
export function groupsOf(
  data: StepData,
  { marks }: Figures,
  keyOf: (dispatch: DispatchRecord, index: number) => string,
  order: SortOrder = 'time',
): Group[] {
  const groups = new Map<string, { -readonly [K in keyof Group]: Group[K] }>();
  for (const [i, dispatch] of data.dispatches.entries()) {
    const key = keyOf(dispatch, i);
    let group = groups.get(key);
    if (!group)
      groups.set(
        key,
        (group = { key, calls: 0, ns: 0, operations: 0, bytes: 0, ideal: 0, wasted: 0, first: i }),
      );
    group.calls++;
    group.ns += dispatch.ns;
    group.operations += dispatch.operations ?? 0;
    group.bytes += dispatch.bytes ?? 0;
    group.ideal += marks[i]!.ideal;
    group.wasted += marks[i]!.wasted;
  }
  const by = order === 'time' ? 'ns' : order;
  const all = [...groups.values()];
  return by === 'order' ? all : all.sort((a, b) => b[by] - a[by]);
}

/** What dispatches can be put together by. */
export const keys = {
  kernel: ({ kernel }: DispatchRecord) => kernel,
  phase: ({ phase }: DispatchRecord) => phase,
  /** The model's largest parts, blocks apart. */
  part: ({ part, phase }: DispatchRecord) =>
    `${phase} ${/^\w+\.blocks\.\d+|^\w+(?=\.|$)/.exec(part)?.[0] ?? 'other'}`,
  dispatch: ({ kernel, part }: DispatchRecord, index: number) => `${index} ${kernel} ${part}`.trimEnd(),
} as const;
export type Grouping = keyof typeof keys;

function sumOf<T>(list: readonly T[], pick: (one: T) => number): number {
  return list.reduce((total, one) => total + pick(one), 0);
}
