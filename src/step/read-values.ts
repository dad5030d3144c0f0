import { currentName } from '../autograd/names.ts';
import type { Operand } from '../autograd/op.ts';
import { linear } from '../autograd/ops/linear.ts';
import { scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { type OpCall, observing } from '../autograd/trace.ts';
import { maxError } from '../common/compare.ts';
import { exact, type Host } from './exact.ts';
import type { Values } from './step-data.ts';
import { valuesOf } from './values.ts';

/** An op or gradient with what it read and made, on the host. */
export interface ReadCall {
  readonly call: OpCall;
  /** The part of the model that it is in. */
  readonly part: string;
  /** Of an op: the id of the tensor it made. */
  readonly made: number | null;
  /** Null where an input is left out, or holds halves. */
  readonly inputs: readonly (Host | null)[];
  readonly dy: Host | null;
  readonly gathered: Host | null;
  /** Of a gradient the first that is not null. */
  readonly output: { readonly shape: readonly number[]; readonly data: Float32Array } | null;
}

/** Takes a call's place until it has run. */
const pending = new Promise<ReadCall>(() => {});

/**
 * Runs `work`, a synchronous function that records ops, and reads what each op and each gradient reads and makes, in the order in
 * which they begin.
 */
export async function readCalls(work: () => unknown): Promise<ReadCall[]> {
  const host = new HostValues();
  const reads: Promise<ReadCall>[] = [];
  scope(() =>
    observing(
      (call, run) => {
        if (host.reading) return run();
        const part = currentName();
        const number = reads.push(pending) - 1;
        const inputs = call.inputs.map((input) =>
          call.of === undefined ? host.read(input) : host.known(input),
        );
        const dy = host.read(call.dy ?? null);
        const gathered = host.read(call.gathered?.(0) ?? null);
        const results = run();
        const list = results instanceof Tensor ? [results] : (results as readonly (Tensor | null)[]);
        const output = list.find((one) => one !== null) ?? null;
        const made = output?.type === 'f32' ? host.read(output) : null;
        const id = call.of === undefined ? (output?.id ?? null) : null;
        reads[number] = (async () => ({
          call,
          part,
          made: id,
          inputs: await Promise.all(inputs),
          dy: await dy,
          gathered: await gathered,
          output: (await made) as ReadCall['output'],
        }))();
        return results;
      },
      work as () => undefined,
    ),
  );
  return Promise.all(reads);
}

/** Tensors on the host, each read once and at once: what its buffer holds later is another's. */
class HostValues {
  readonly #read = new Map<Operand, Promise<Host | null>>();
  readonly #byId = new Map<number, Promise<Host | null>>();
  reading = false;

  read(operand: Operand | null): Promise<Host | null> {
    if (!operand) return Promise.resolve(null);
    const known = this.#lookUp(operand);
    if (known) return known;
    const { shape } = operand;
    const values = this.#values(operand).then((data) => data && { shape, data });
    if (operand instanceof Tensor) this.#byId.set(operand.id, values);
    else this.#read.set(operand, values);
    return values;
  }

  /** What has been read, also of a tensor that is gone by now. */
  known(operand: Operand | null): Promise<Host | null> {
    return (operand && this.#lookUp(operand)) ?? Promise.resolve(null);
  }

  #lookUp(operand: Operand): Promise<Host | null> | undefined {
    return operand instanceof Tensor ? this.#byId.get(operand.id) : this.#read.get(operand);
  }

  async #values(operand: Operand): Promise<ArrayLike<number> | null> {
    if (operand instanceof Tensor) {
      if (operand.type === 'f32') return operand.read();
      return operand.type === 'u32' ? new Uint32Array(await operand.readRaw()) : null;
    }
    const [n, k] = operand.shape as readonly [number, number];
    const columns = await this.#transposed(operand, k);
    return Float32Array.from({ length: n * k }, (_, i) => columns[(i % k) * n + Math.floor(i / k)]!);
  }

  /** A packed weight cannot be read where it is a texture; the identity times it can, and is exact. */
  #transposed(weight: Operand, k: number): Promise<Float32Array> {
    const identity = new Float32Array(k * k);
    for (let i = 0; i < k; i++) identity[i * (k + 1)] = 1;
    this.reading = true;
    try {
      const product = scope(() => linear(Tensor.from(weight.gpu, identity, [k, k]), weight, null));
      const values = product.read();
      product.dispose();
      return values;
    } finally {
      this.reading = false;
    }
  }
}

/** Figures and thumbnails of what was read, with the largest difference from the same op in float64. */
export function valuesOfCalls(calls: readonly ReadCall[]): (Values | null)[] {
  return calls.map((one) => one.output && valuesOf(one.output.data, one.output.shape, errorOf(one)));
}

/** Relative to the largest value; null where an op has no form in float64, or an input was not read. */
export function errorOf({ call, inputs, dy, gathered, output }: ReadCall): number | null {
  if (!output || call.inputs.some((input, i) => input && !inputs[i])) return null;
  const { name, attributes, of, needs } = call;
  if (of !== undefined && !dy) return null;
  const expected = exact({
    name,
    attributes,
    inputs,
    dy: of === undefined ? null : dy,
    wanted: needs.indexOf(true),
    gathered,
  });
  return expected && maxError(output.data, expected);
}
