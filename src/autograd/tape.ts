import { binary, fill } from '../kernels/elementwise.ts';
import { allOrNone, keep, scope } from './scope.ts';
import { Tensor, type TensorType } from './tensor.ts';

/** What an op's forward may ask and leave behind. */
export interface ForwardContext {
  /** Whether a gradient will be asked for at all; if not, nothing need be kept. */
  readonly recording: boolean;
  /** For each input, whether its gradient will be asked for. */
  readonly needs: readonly boolean[];
  /** Keeps tensors (inputs, outputs, or extra ones such as a log-sum-exp) for the gradient; ignored when not recording. */
  save(...tensors: Tensor[]): void;
}

/** What an op's gradient gets: the tensors it saved, in order, and which inputs want a gradient. */
export interface BackwardContext<A> {
  readonly saved: readonly Tensor[];
  readonly needs: readonly boolean[];
  readonly attributes: A;
  /**
   * Takes what other uses have gathered of input i's gradient so far, null if nothing: the op then returns their sum
   * with its own. An op that can add it on the way spares the tape an addition.
   */
  take(i: number): Tensor | null;
}

/** An op: forward and gradient side by side. The gradient returns one tensor an input, null where none is needed or defined. */
export interface Op<A> {
  readonly name: string;
  /** Which types each input may have, those of the last for the rest; float32 alone by default. */
  readonly types?: readonly (readonly TensorType[])[];
  /** The output; `context.save` keeps what the gradient will need. */
  forward(inputs: readonly Tensor[], attributes: A, context: ForwardContext): Tensor;
  /** Gradients of the inputs from that of the output, dy in its shape. */
  gradient(dy: Tensor, context: BackwardContext<A>): (Tensor | null)[];
}

interface Node {
  readonly name: string;
  readonly inputs: readonly number[];
  readonly output: number;
  readonly saved: readonly Tensor[];
  readonly gradient: (dy: Tensor, take: (i: number) => Tensor | null) => (Tensor | null)[];
}

/** What a differentiable stretch of work did, in order, and which tensors depend on its parameters: the rest is frozen. */
interface Tape {
  readonly nodes: Node[];
  readonly tracked: Set<number>;
}

let active: Tape | undefined;

/** Runs an op; on an active tape, and if any input depends on a parameter, records it with what its gradient needs. */
export function apply<A>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  checkInputs(op, inputs);
  const tape = active;
  const needs = inputs.map(({ id }) => tape?.tracked.has(id) ?? false);
  const recording = needs.includes(true);
  const saved: Tensor[] = [];
  const save = (...tensors: Tensor[]) => {
    // A handle of the tape's own on the storage: it outlives the scope in which the op ran.
    if (recording) for (const tensor of tensors) saved.push(keep(tensor.view()));
  };
  const output = allOrNone(() => op.forward(inputs, attributes, { recording, needs, save }));
  if (recording) {
    tape!.tracked.add(output.id);
    tape!.nodes.push({
      name: op.name,
      inputs: inputs.map(({ id }, i) => (needs[i] ? id : 0)),
      output: output.id,
      saved,
      gradient: (dy, take) => op.gradient(dy, { saved, needs, attributes, take }),
    });
  }
  return output;
}

const float32 = [['f32']] as const;

/** A kernel reads bits: those of another type, or of another device, would be taken for numbers. */
function checkInputs<A>({ name, types = float32 }: Op<A>, inputs: readonly Tensor[]): void {
  for (let i = 0; i < inputs.length; i++) {
    const { type, gpu, shape } = inputs[i]!;
    const accepted = types[Math.min(i, types.length - 1)]!;
    if (!accepted.includes(type))
      throw new Error(
        `${name}: input ${i} [${shape.join(', ')}] is ${type}, expected ${accepted.join(' or ')}`,
      );
    if (gpu !== inputs[0]!.gpu)
      throw new Error(
        `${name}: inputs 0 and ${i} are on different devices (was one of them opened after the other was lost?)`,
      );
  }
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
    return scope(() => {
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
    });
  } finally {
    for (const { saved } of tape.nodes) for (const tensor of saved) tensor.dispose();
  }
}

function one(value: Tensor): Tensor {
  if (value.size !== 1)
    throw new Error(
      `the value has shape [${value.shape.join(', ')}]: give its gradient, or reduce it to one number`,
    );
  const seed = Tensor.empty(value.gpu, value.shape);
  fill(value.gpu, seed.buffer, 1, 1);
  return seed;
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
  for (let node = tape.nodes.at(-1); node; node = tape.nodes.at(-1)) {
    const dy = byId.get(node.output);
    if (dy) {
      const taken: Tensor[] = [];
      const take = (i: number) => {
        const gathered = byId.get(node.inputs[i]!) ?? null;
        byId.delete(node.inputs[i]!);
        if (gathered) taken.push(gathered);
        return gathered;
      };
      const gradients = scope(() => node.gradient(dy, take));
      // A view, since an op may hand on dy itself, or one tensor for two inputs.
      for (const [i, gradient] of gradients.entries())
        if (gradient && node.inputs[i]) accumulate(byId, node.inputs[i]!, gradient.view());
      for (const gradient of gradients) if (gradient !== dy) gradient?.dispose();
      for (const gathered of taken) gathered.dispose();
      if (!leaves.has(node.output)) {
        byId.delete(node.output);
        dy.dispose();
      }
    }
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
