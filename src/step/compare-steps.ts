import type { DispatchRecord, OpRecord, StepData } from './step-data.ts';

/** As much of a recording as a comparison reads. */
export type ComparableStep = Pick<StepData, 'title' | 'made' | 'package' | 'batch' | 'settings'> & {
  readonly adapter: Pick<StepData['adapter'], 'name'>;
  readonly ops: readonly Pick<OpRecord, 'name'>[];
  readonly dispatches: readonly Pick<
    DispatchRecord,
    'phase' | 'part' | 'op' | 'kernel' | 'ns' | 'operations' | 'bytes'
  >[];
};

/** A part of the model in two recordings; null: it is in one of them only. */
export interface ComparedPart {
  readonly key: string;
  readonly a: PartFigures | null;
  readonly b: PartFigures | null;
}

export interface PartFigures {
  readonly ns: number;
  readonly dispatches: number;
  readonly operations: number;
  readonly bytes: number;
  readonly kernels: readonly string[];
}

/** Two recordings, op by op: by phase and the model's names, which stay when kernels change. The largest change in time comes first. */
export function compareSteps(
  a: ComparableStep,
  b: ComparableStep,
): { total: ComparedPart; parts: ComparedPart[] } {
  const [left, right] = [partsOf(a), partsOf(b)];
  const names = new Set([...left.keys(), ...right.keys()]);
  const parts = [...names].map((key) => ({ key, a: left.get(key) ?? null, b: right.get(key) ?? null }));
  const change = (part: ComparedPart) => Math.abs((part.b?.ns ?? 0) - (part.a?.ns ?? 0));
  return {
    total: { key: 'the whole step', a: whole(a), b: whole(b) },
    parts: parts.sort((x, y) => change(y) - change(x)),
  };
}

function whole({ dispatches }: ComparableStep): PartFigures {
  const sum = (pick: (one: (typeof dispatches)[number]) => number) =>
    dispatches.reduce((total, one) => total + pick(one), 0);
  return {
    ns: sum(({ ns }) => ns),
    dispatches: dispatches.length,
    operations: sum(({ operations }) => operations ?? 0),
    bytes: sum(({ bytes }) => bytes ?? 0),
    kernels: [],
  };
}

function partsOf(data: ComparableStep): Map<string, PartFigures> {
  const parts = new Map<string, PartFigures>();
  for (const { phase, part, op, kernel, ns, operations, bytes } of data.dispatches) {
    const key = [phase, part, data.ops[op]?.name].filter(Boolean).join(' ');
    const so = parts.get(key);
    parts.set(key, {
      ns: (so?.ns ?? 0) + ns,
      dispatches: (so?.dispatches ?? 0) + 1,
      operations: (so?.operations ?? 0) + (operations ?? 0),
      bytes: (so?.bytes ?? 0) + (bytes ?? 0),
      kernels: so ? (so.kernels.includes(kernel) ? so.kernels : [...so.kernels, kernel]) : [kernel],
    });
  }
  return parts;
}

/** What two recordings differ in that explains the rest: adapter, shapes, settings. */
export function differences(a: ComparableStep, b: ComparableStep): string[] {
  const found: string[] = [];
  const say = (name: string, x: unknown, y: unknown) => {
    if (x !== y) found.push(`${name}: ${x} → ${y}`);
  };
  say('adapter', a.adapter.name, b.adapter.name);
  say('batch', a.batch, b.batch);
  say('version', a.package, b.package);
  const names = new Set([...Object.keys(a.settings), ...Object.keys(b.settings)]);
  for (const name of names) say(name, a.settings[name], b.settings[name]);
  return found;
}
