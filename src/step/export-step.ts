import { figuresOf } from './figures.ts';
import type { StepData } from './step-data.ts';

/** Chrome's trace event format, which ui.perfetto.dev and speedscope open: dispatches, ops and phases one after the other, and memory. */
export function traceOf(data: StepData): string {
  const { marks, live } = figuresOf(data);
  const tracks = ['phase', 'part', 'op', 'dispatch'] as const;
  const events: object[] = [
    { ph: 'M', pid: 1, name: 'process_name', args: { name: `${data.title}, ${data.adapter.name}` } },
    ...tracks.map((name, i) => ({ ph: 'M', pid: 1, tid: i + 1, name: 'thread_name', args: { name } })),
  ];
  const span = (tid: number, name: string, from: number, to: number, args: object = {}) => {
    const last = data.dispatches[to - 1]!;
    const ts = marks[from]!.begin / 1000;
    events.push({ ph: 'X', pid: 1, tid, name, ts, dur: (marks[to - 1]!.begin + last.ns) / 1000 - ts, args });
  };
  const runs = (tid: number, keyOf: (i: number) => string) => {
    for (let from = 0; from < data.dispatches.length; ) {
      let to = from + 1;
      while (to < data.dispatches.length && keyOf(to) === keyOf(from)) to++;
      if (keyOf(from) !== '') span(tid, keyOf(from), from, to);
      from = to;
    }
  };
  runs(1, (i) => data.dispatches[i]!.phase);
  runs(2, (i) => data.dispatches[i]!.part);
  runs(3, (i) => opName(data, data.dispatches[i]!.op));
  for (const [i, { kernel, operations, bytes, groups, params, constants }] of data.dispatches.entries()) {
    span(4, kernel, i, i + 1, {
      dispatch: i,
      operations,
      bytes,
      groups: groups.join('x'),
      ...params,
      ...constants,
    });
    events.push({
      ph: 'C',
      pid: 1,
      name: 'allocated bytes',
      ts: marks[i]!.begin / 1000,
      args: { bytes: live[i] },
    });
  }
  return JSON.stringify({ displayTimeUnit: 'ns', traceEvents: events });
}

function opName(data: StepData, at: number): string {
  const op = data.ops[at];
  return op ? `${op.kind === 'gradient' ? 'gradient of ' : ''}${op.name} #${at}` : '';
}

const columns = [
  ...['dispatch', 'phase', 'part', 'op', 'kernel', 'ns', 'least_ns', 'most_ns', 'operations', 'bytes'],
  ...['roofline_ns', 'wasted_ns', 'groups', 'allocated_bytes'],
];

/** A line a dispatch. */
export function csvOf(data: StepData): string {
  const { marks, live } = figuresOf(data);
  const rows = data.dispatches.map((one, i) => [
    ...[i, one.phase, one.part, opName(data, one.op).replace(/ #\d+$/, ''), one.kernel],
    ...[one.ns, one.least, one.most, one.operations ?? '', one.bytes ?? ''],
    ...[marks[i]!.ideal, marks[i]!.wasted, one.groups.join('x'), live[i] ?? 0],
  ]);
  return `${[columns, ...rows].map((row) => row.map(cell).join(',')).join('\n')}\n`;
}

const cell = (value: string | number) =>
  /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
