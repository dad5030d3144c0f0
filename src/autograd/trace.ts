import type { Gpu } from '../kernels/device/gpu.ts';
import type { Operand } from './op.ts';
import type { Tensor } from './tensor.ts';

type Inputs = readonly (Operand | null)[];
type Results = Tensor | readonly (Tensor | null)[];

/** Is handed each op and gradient as a text, and runs it. */
export type Observer = <R extends Results>(call: string, run: () => R) => R;

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

/** Runs an op or its gradient. An error says which it was, and for which shapes. */
export function observed<R extends Results>(name: string, inputs: Inputs, run: () => R): R {
  try {
    return observer ? observer(callText(name, inputs), run) : run();
  } catch (error) {
    // What ended the device is one error for all, and no op's fault. The others keep their class, which says what to do.
    if (error instanceof Error && !inputs.some((input) => input?.gpu.ended === error))
      error.message += ` (in ${callText(name, inputs)})`;
    throw error;
  }
}

/** As one would write the call, with shapes for tensors: `linear([5, 8], f16 [12, 8], null, null)`. */
function callText(name: string, inputs: Inputs): string {
  return `${name}(${inputs.map(shapeText).join(', ')})`;
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
      print([`${call} → ${shapes}`, ...own].join('  '));
      return results;
    } finally {
      kernels = outer;
    }
  };
  const outer = gpu.onDispatch;
  gpu.onDispatch = (kernel, groups) => {
    const text = `${kernel} ${groups.join('x')}`;
    if (kernels) kernels.push(text);
    else print(text);
  };
  try {
    return observing(observe, f);
  } finally {
    gpu.onDispatch = outer;
  }
}
