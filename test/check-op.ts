import { expect } from 'vitest';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { trace } from '../src/autograd/trace.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
import { applicableRowVariants, withRowVariant } from '../src/kernels/rows/row-kernel.ts';
import { sumOf } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

type Shape = readonly number[];

/** How {@link checkOp} draws and compares; errors as {@link maxError} has them. */
export interface CheckOptions {
  /** Largest error of the result. */
  readonly forward?: number;
  /** Largest error of a gradient. */
  readonly gradient?: number;
  /** The values of input `i`: normal numbers by default. */
  readonly values?: (count: number, i: number) => Float32Array;
}

/**
 * Shapes to try a row-wise op on: rows shorter and longer than the lanes that share one, and numbers and lengths of rows that are
 * multiples of 4, by which some kernels take them, and that are not.
 */
export const rowShapes = [
  [1, 3],
  [3, 17],
  [12, 5],
  [35, 64],
  [96, 197],
  [197, 197],
  [257, 33],
  [462, 512],
] as const;

/**
 * Holds an op against its definition: its result against the reference, and the gradients of a weighted sum of the result, taken by
 * all inputs at once and by each alone, against central differences of the reference, which in float64 are good to nine digits. An
 * op of row-wise kernels is held to it in every variant of them that this adapter can run.
 *
 * @param reference the result's elements from the inputs', in float64
 */
export async function checkOp<const Shapes extends readonly Shape[]>(
  op: (...inputs: { [I in keyof Shapes]: Tensor }) => Tensor,
  reference: (...inputs: { [I in keyof Shapes]: Float64Array }) => ArrayLike<number>,
  shapes: Shapes,
  { forward = 1e-6, gradient = 1e-5, values = (count, i) => randoms(count, 71 + i) }: CheckOptions = {},
): Promise<void> {
  const gpu = await sharedGpu();
  const { liveBuffers } = gpu.pool.statistics;
  const data = shapes.map((shape, i) => values(elementCount(shape), i));
  const inputs = data.map((value, i) => Tensor.from(gpu, value, shapes[i]));
  const exact = data.map((value) => Float64Array.from(value));
  const run = () => scope(() => op(...(inputs as { [I in keyof Shapes]: Tensor })));
  const define = () => reference(...(exact as { [I in keyof Shapes]: Float64Array }));

  const expected = define();
  const result = run();
  const weights = randoms(result.size, 70);
  const dy = Tensor.from(gpu, weights, result.shape);
  const objective = () => {
    const y = define();
    return weights.reduce((total, weight, i) => total + weight * y[i]!, 0);
  };
  const errors = inputs.map((_, i) => gradientError(objective, exact[i]!, result.size));

  const check = async (parameters: readonly Tensor[], what: string, variant?: string) => {
    const lines: string[] = [];
    const { value, gradients } = withRowVariant(variant, () =>
      trace(
        gpu,
        () => valueAndGradients(run, parameters, dy),
        (line) => lines.push(line),
      ),
    );
    expect(maxError(await value.read(), expected), `result ${what}`).toBeLessThanOrEqual(forward);
    value.dispose();
    for (const [i, input] of inputs.entries()) {
      if (!parameters.includes(input)) continue;
      const found = gradients.get(input);
      expect(found?.shape, `shape of the gradient by input ${i}`).toEqual(shapes[i]);
      const error = errors[i]!(await found!.read());
      found!.dispose();
      expect(error, `gradient by input ${i} ${what}`).toBeLessThanOrEqual(gradient);
    }
    return lines.join('\n');
  };
  expect(maxError(await result.read(), expected), 'result').toBeLessThanOrEqual(forward);
  const launched = await check(inputs, 'among all');
  if (inputs.length > 1) for (const input of inputs) await check([input], 'alone');
  if (/_(lane|subgroup|workgroup) \d/.test(launched))
    for (const variant of applicableRowVariants(gpu)) await check(inputs, `of variant ${variant}`, variant);
  for (const tensor of [result, dy, ...inputs]) tensor.dispose();
  expect(gpu.pool.statistics.liveBuffers, 'buffers in use').toBe(liveBuffers);
}
/**
 * How far a gradient is from that of `f` by an array it reads: at some places; where those are not all, along a direction in which every
 * element moves by ±1, and errors add up as a random walk; and everywhere from the first gradient asked about.
 */
function gradientError(f: () => number, input: Float64Array, resultSize: number) {
  const signs = randoms(input.length, 69).map(Math.sign);
  let first: Float32Array | undefined;
  let places: [at: number, slope: number][] = [];
  let along = 0;
  return (found: Float32Array): number => {
    if (!first) {
      first = found;
      places = placesOf(found, resultSize).map((at) => [at, difference(f, input, 1e-4, [[at, 1]])]);
      if (places.length < input.length) along = difference(f, input, 1e-5, [...signs.entries()]);
    }
    const atPlaces = maxError(
      places.map(([at]) => found[at]!),
      places.map(([, slope]) => slope),
    );
    const everywhere = maxError(found, first);
    if (places.length === input.length) return Math.max(atPlaces, everywhere);
    const largest = found.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const apart = Math.abs(sumOf(Float64Array.from(found, (value, i) => value * signs[i]!)) - along);
    return Math.max(atPlaces, everywhere, apart / Math.sqrt(found.length) / (largest || 1));
  };
}

/**
 * The elements of a gradient to look at: all of a small one; of a large one the largest, by which errors are measured, and some evenly
 * spread from the first to the last, fewer where the definition takes long.
 */
function placesOf(gradient: Float32Array, resultSize: number): number[] {
  const count = Math.min(gradient.length, Math.max(3, Math.min(24, Math.floor(2e5 / resultSize))));
  const spread = Array.from({ length: count }, (_, s) =>
    Math.floor((s * (gradient.length - 1)) / Math.max(1, count - 1)),
  );
  const largest = gradient.reduce(
    (best, value, at) => (Math.abs(value) > Math.abs(gradient[best]!) ? at : best),
    0,
  );
  return [...new Set([largest, ...spread])];
}

/** Central difference of f along a direction, given by elements of an array that it reads. */
function difference(
  f: () => number,
  input: Float64Array,
  length: number,
  direction: readonly (readonly [at: number, by: number])[],
): number {
  const values = direction.map(([at]) => input[at]!);
  const step = direction.length === 1 ? length * Math.max(1, Math.abs(values[0]!)) : length;
  const at = (way: number) => {
    for (const [k, [i, by]] of direction.entries()) input[i] = values[k]! + way * step * by;
    return f();
  };
  const slope = (at(1) - at(-1)) / (2 * step);
  at(0);
  return slope;
}
