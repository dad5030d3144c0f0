import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type OpCall, observing } from '../autograd/trace.ts';
import type { Values } from './step-data.ts';
import { valuesOf } from './values.ts';

/** An op or gradient with what it made, on the host, once it has been read. */
export interface ReadCall {
  readonly call: OpCall;
  readonly output: { readonly shape: readonly number[]; readonly data: Float32Array } | null;
}

/**
 * Runs `work`, a synchronous function that records ops, and reads what each op and each gradient makes (of a gradient the first
 * that is not null), in the order in which they begin.
 */
export async function readCalls(work: () => unknown): Promise<ReadCall[]> {
  const reads: Promise<ReadCall>[] = [];
  scope(() =>
    observing(
      (call, run) => {
        const number = reads.push(Promise.resolve({ call, output: null })) - 1;
        const results = run();
        const list = results instanceof Tensor ? [results] : (results as readonly (Tensor | null)[]);
        const output = list.find((one) => one !== null);
        // Recorded at once: what the buffer holds later is another's.
        if (output?.type === 'f32') {
          const { shape } = output;
          reads[number] = output.read().then((data) => ({ call, output: { shape, data } }));
        }
        return results;
      },
      work as () => undefined,
    ),
  );
  return Promise.all(reads);
}

/** Figures and thumbnails of what was read. */
export function valuesOfCalls(
  calls: readonly ReadCall[],
  errors: readonly (number | null)[],
): (Values | null)[] {
  return calls.map(({ output }, i) => output && valuesOf(output.data, output.shape, errors[i] ?? null));
}
