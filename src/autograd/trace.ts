import type { Gpu } from '../kernels/device/gpu.ts';
import { currentName } from './names.ts';
import type { Operand } from './op.ts';
import type { Tensor } from './tensor.ts';

type Inputs = readonly (Operand | null)[];
type Results = Tensor | readonly (Tensor | null)[];

/** An op that runs, or the gradient of one. */
export interface OpCall {
  readonly name: string;
  /** Of a gradient: the tensor whose op it is of, by its id. */
  readonly of: number | undefined;
  /** Of the op, also where its gradient runs. */
  readonly inputs: Inputs;
  /** Of the op: which inputs depend on a parameter. */
  readonly needs: readonly boolean[];
  /** Of a gradient: that of the op's output. */
  readonly dy?: Tensor;
  /** Of a gradient: what other uses have gathered of input i's, which the op may take. */
  readonly gathered?: (i: number) => Tensor | null;
  /** Of the op: numbers and choices. */
  readonly attributes?: unknown;
}

/** Is handed each op and gradient, and runs it. */
export type Observer = <R extends Results>(call: OpCall, run: () => R) => R;

let observer: Observer | undefined;

/** Runs `body`, and every op and gradient in it by `by`. */
export function observing<T>(by: Observer, body: () => T): T {
  const outer = observer;
  observer = by;
  try {
    return body();
  } finally {
    observer = outer;
  }
}

/** Runs an op or its gradient. An error says which it was, in which part of the model, and for which shapes. */
export function observed<R extends Results>(call: OpCall, run: () => R): R {
  try {
    return observer ? observer(call, run) : run();
  } catch (error) {
    // What ended the device is one error for all, and no op's fault. The others keep their class, which says what to do.
    if (error instanceof Error && !call.inputs.some((input) => input?.gpu.ended === error)) {
      const name = currentName();
      error.message += ` (in ${name === '' ? '' : `${name}: `}${callText(call)})`;
    }
    throw error;
  }
}

/** As one would write the call, with shapes for tensors: `linear([5, 8], f16 [12, 8], null, null)`. */
export function callText({ name, of, inputs }: OpCall): string {
  return `${of === undefined ? '' : 'gradient of '}${name}(${inputs.map(shapeText).join(', ')})`;
}

function shapeText(tensor: Operand | null): string {
  if (!tensor) return 'null';
  return `${tensor.type === 'f32' ? '' : `${tensor.type} `}[${tensor.shape.join(', ')}]`;
}

/**
 * Runs `f`, a synchronous function, and prints a line for each op and gradient in it: the shapes of its inputs and results, and
 * the kernels it dispatched with their workgroup counts. A dispatch outside of ops (the tape's sums of gradients, an
 * optimizer's step) has a line of its own.
 */
export function trace<T>(gpu: Gpu, f: () => T, print: (line: string) => void = console.log): T {
  let kernels: string[] | undefined; // of the op that is running
  const observe: Observer = (call, run) => {
    const outer = kernels;
    const own: string[] = [];
    kernels = own;
    try {
      const results = run();
      const shapes = 'id' in results ? shapeText(results) : results.map(shapeText).join(', ');
      print([`${callText(call)} → ${shapes}`, ...own].join('  '));
      return results;
    } finally {
      kernels = outer;
    }
  };
  const outer = gpu.tracer;
  gpu.tracer = {
    dispatch(kernel, groups) {
      const text = `${kernel} ${groups.join('x')}`;
      if (kernels) kernels.push(text);
      else print(text);
    },
  };
  try {
    return observing(observe, f);
  } finally {
    gpu.tracer = outer;
  }
}
