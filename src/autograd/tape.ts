import { binary } from '../kernels/elementwise.ts';
import { deferring, UnitGradient } from './deferred.ts';
import { currentName, within } from './names.ts';
import {
  type AttributesOf,
  type BackwardContext,
  checkInputs,
  type DeferredKind,
  type Each,
  type Op,
  type Operand,
  type OpTypes,
  type SavedOf,
} from './op.ts';
import { allOrNone, keep, scope } from './scope.ts';
import { Tensor } from './tensor.ts';
import { observed } from './trace.ts';

type Gradients = readonly (Tensor | null)[];

interface Node {
  readonly name: string;
  /** The part of the model that ran it. */
  readonly part: string;
  readonly inputs: readonly (Operand | null)[];
  /** Of each input, the id under which its gradient is gathered; 0 where none is. */
  readonly gathered: readonly number[];
  readonly output: number;
  readonly saved: readonly Operand[];
  readonly attributes: unknown;
  readonly takesDeferred: DeferredKind | null;
  readonly gradient: (dy: Tensor, asked: Pick<BackwardContext, 'take' | 'defers'>) => Gradients;
}

/** What a differentiable computation did, in order, and which tensors depend on its parameters: the rest is frozen. */
interface Tape {
  readonly nodes: Node[];
  readonly tracked: Set<number>;
}

let active: Tape | undefined;

/** Runs an op; on an active tape, and if any input depends on a parameter, records it with what its gradient needs. */
export function apply<T extends OpTypes>(
  op: Op<T>,
  inputs: T['inputs'],
  ...given: T extends { readonly attributes: infer A } ? [attributes: A] : []
): Tensor {
  const { name } = op;
  checkInputs(name, inputs, op.types);
  const tape = active;
  const attributes = (given as readonly unknown[])[0] as AttributesOf<T>;
  const ids = inputs.map((input) => (input instanceof Tensor && tape?.tracked.has(input.id) ? input.id : 0));
  const needed = ids.map((id) => id !== 0);
  const needs = needed as Each<T['inputs'], boolean>;
  const recording = needed.includes(true);
  const held: Operand[] = [];
  const saved: Record<string, Operand | null> = {};
  const save = (tensors: SavedOf<T>) => {
    if (!recording) return;
    const named = tensors as Record<string, Operand | null>;
    for (const key in named) {
      // A handle of the tape's own on the storage: it outlives the scope in which the op ran.
      const view = named[key] ? keep(named[key].view()) : null;
      if (view) held.push(view);
      saved[key] = view;
    }
  };
  const output = observed({ name, of: undefined, inputs, needs: needed, attributes }, () =>
    allOrNone(() => op.forward(inputs, { attributes, recording, needs, save })),
  );
  if (tape && recording) {
    tape.tracked.add(output.id);
    tape.nodes.push({
      name,
      part: currentName(),
      inputs,
      gathered: ids,
      output: output.id,
      saved: held,
      attributes,
      takesDeferred: op.takesDeferred?.(attributes) ?? null,
      gradient(dy, { take, defers }) {
        const shapes = inputs.map((input) => input?.shape ?? []) as Each<T['inputs'], readonly number[]>;
        return op.gradient(dy, { attributes, saved: saved as SavedOf<T>, needs, shapes, take, defers });
      },
    });
  }
  return output;
}

/** What {@link valueAndGradients} gives. */
export interface ValueAndGradients {
  readonly value: Tensor;
  /** One gradient for each parameter that the value depends on, in its shape. */
  readonly gradients: Map<Tensor, Tensor>;
}

/**
 * Runs `f` and differentiates its result by `parameters` (reverse mode). Whatever does not depend on a parameter is
 * frozen: it is neither kept nor differentiated.
 *
 * @param dy the gradient of the value, in its shape; may be left out for a value of one element (then 1).
 */
export function valueAndGradients(
  f: () => Tensor,
  parameters: readonly Tensor[],
  dy?: Tensor | ((value: Tensor) => Tensor),
): ValueAndGradients {
  if (active) throw new Error('valueAndGradients does not nest');
  const tape: Tape = { nodes: [], tracked: new Set(parameters.map(({ id }) => id)) };
  try {
    const work = () => {
      active = tape;
      let value: Tensor;
      try {
        value = scope(f);
      } finally {
        active = undefined;
      }
      if (!(value instanceof Tensor))
        throw new Error('valueAndGradients: the function does not return a tensor');
      const seed = typeof dy === 'function' ? dy(value) : dy ? dy.view() : one(value);
      return { value, gradients: backward(tape, value, seed, parameters) };
    };
    return scope(() => deferring(work));
  } finally {
    for (const { saved } of tape.nodes) for (const tensor of saved) tensor.dispose();
  }
}

function one(value: Tensor): Tensor {
  if (value.size !== 1)
    throw new Error(
      `the value has shape [${value.shape.join(', ')}]: give its gradient, or reduce it to one number`,
    );
  return Tensor.deferred(value.gpu, value.shape, new UnitGradient(value.gpu));
}

function backward(
  tape: Tape,
  value: Tensor,
  seed: Tensor,
  parameters: readonly Tensor[],
): Map<Tensor, Tensor> {
  const byId = new Map<number, Tensor>();
  accumulate(byId, value.id, seed);
  const leaves = new Set(parameters.map(({ id }) => id));
  const makers = new Map(tape.nodes.map((node) => [node.output, node]));
  for (let node = tape.nodes.at(-1); node; node = tape.nodes.at(-1)) {
    within(node.part, () => differentiate(node, byId, leaves, makers));
    for (const tensor of node.saved) tensor.dispose();
    tape.nodes.pop(); // now, since what is on the tape is freed if anything throws
  }
  const found = new Map<Tensor, Tensor>();
  for (const parameter of parameters) {
    const gradient = byId.get(parameter.id);
    if (gradient) found.set(parameter, gradient);
  }
  return found;
}

/** Hands the gradient of a node's output on to its inputs. */
function differentiate(
  node: Node,
  byId: Map<number, Tensor>,
  leaves: ReadonlySet<number>,
  makers: ReadonlyMap<number, Node>,
): void {
  const dy = byId.get(node.output);
  if (!dy) return;
  const taken: Tensor[] = [];
  const take = (i: number) => {
    const id = node.gathered[i] ?? 0;
    const gathered = byId.get(id) ?? null;
    byId.delete(id);
    if (gathered) taken.push(gathered);
    return gathered;
  };
  const defers = (i: number) => makers.get(node.gathered[i] ?? 0)?.takesDeferred ?? null;
  const { name, inputs, output, gathered } = node;
  const { attributes } = node;
  const call = {
    name,
    of: output,
    inputs,
    needs: gathered.map((id) => id !== 0),
    dy,
    attributes,
    gathered: (i: number) => byId.get(gathered[i] ?? 0) ?? null,
  };
  const gradients = scope(() => observed(call, () => node.gradient(dy, { take, defers })));
  // A view, since an op may hand on dy itself, or one tensor for two inputs.
  for (const [i, gradient] of gradients.entries())
    if (gradient && gathered[i]) accumulate(byId, gathered[i], gradient.view());
  for (const gradient of gradients) if (gradient !== dy) gradient?.dispose();
  for (const tensor of taken) tensor.dispose();
  if (!leaves.has(output)) {
    byId.delete(output);
    dy.dispose();
  }
}

function accumulate(byId: Map<number, Tensor>, id: number, gradient: Tensor): void {
  const sofar = byId.get(id);
  if (!sofar) {
    byId.set(id, gradient);
    return;
  }
  const sum = Tensor.empty(gradient.gpu, sofar.shape);
  binary(gradient.gpu, 'add', sofar.buffer, gradient.buffer, sum.buffer, sum.size);
  sofar.dispose();
  gradient.dispose();
  byId.set(id, sum);
}
