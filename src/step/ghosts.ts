import type { Operand } from '../autograd/op.ts';
import type { Ghost, Phase, StepData } from './step-data.ts';
import type { Launched, StepTracer } from './step-tracer.ts';
import { amountText } from './units.ts';

/** Work that the step spares, recorded as it would be. */
export interface Spared {
  readonly what: string;
  readonly why: string;
  readonly how: string;
  readonly part: string;
  readonly phase: Phase;
  /** What would be there instead. */
  readonly dispatches: readonly Launched[];
  /** How often, per step. */
  readonly times: number;
  /** Whether a dispatch of the step itself is what takes its place. */
  readonly replaces: (dispatch: Launched) => boolean;
}

/** What is not there: weight gradients that nobody asks for, and the work of `spared`. */
export function findGhosts(
  tracer: StepTracer,
  weights: ReadonlyMap<string, Operand>,
  spared: readonly Spared[],
  ceilings: StepData['ceilings'],
): Ghost[] {
  const ideal = (operations: number, bytes: number) =>
    Math.max(operations / ceilings.gflops, bytes / ceilings.copyGBs);
  const recorded = spared.map(({ dispatches, times, replaces, ...ghost }): Ghost => {
    const there = sum(tracer.dispatches.filter(replaces));
    const instead = sum(dispatches);
    const operations = Math.max(0, times * instead.operations - there.operations);
    const bytes = Math.max(0, times * instead.bytes - there.bytes);
    return {
      ...ghost,
      basis: 'counted',
      operations,
      bytes,
      dispatches: Math.round(times * dispatches.length) - there.count,
      ns: ideal(operations, bytes),
    };
  });
  return [...recorded, ...frozenGradients(tracer, weights, ideal)];
}

/** A frozen linear layer on the tape: its weight's gradient, dzᵀ·x, would take what its product takes. */
function frozenGradients(
  { ops, dispatches }: StepTracer,
  weights: ReadonlyMap<string, Operand>,
  ideal: (operations: number, bytes: number) => number,
): Ghost[] {
  const layers = ops.flatMap((op, number) => {
    const [x, weight] = op.inputs;
    const frozen = op.name === 'linear' && op.taped && op.needs[1] === false && x && weight;
    if (!frozen) return [];
    const products = dispatches.filter((one) => one.op === number && one.kernel.startsWith('matmul'));
    const { operations } = sum(products);
    const count = weight.shape.reduce((total, size) => total * size, 1);
    const rows = x.shape.slice(0, -1).reduce((total, size) => total * size, 1);
    const bytes = 4 * (count + rows * ((weight.shape[0] ?? 0) + (weight.shape[1] ?? 0)));
    return [{ operations, bytes, size: 4 * count }];
  });
  if (layers.length === 0 || weights.size === 0) return [];
  const total = (pick: (layer: (typeof layers)[number]) => number) =>
    layers.reduce((amount, layer) => amount + pick(layer), 0);
  const [operations, bytes, size] = [
    total((one) => one.operations),
    total((one) => one.bytes),
    total((one) => one.size),
  ];
  return [
    {
      what: `weight gradients of ${layers.length} frozen linear layers`,
      why: `The tower is frozen: the tape asks each layer for the gradient of its input alone. It also spares ${amountText(size, 'B')} for the gradients themselves, and as much again for an optimizer's momentum.`,
      basis: 'modeled',
      how: 'Each would be one product of the size of the layer’s own.',
      part: 'text',
      phase: 'backward',
      operations,
      bytes,
      dispatches: layers.length,
      ns: layers.reduce((time, one) => time + ideal(one.operations, one.bytes), 0),
    },
  ];
}

function sum(dispatches: readonly Launched[]) {
  let [operations, bytes] = [0, 0];
  for (const one of dispatches) {
    operations += one.operations ?? 0;
    bytes += one.bytes ?? 0;
  }
  return { operations, bytes, count: dispatches.length };
}
