import { expect } from 'vitest';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
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
 * Holds an op against its definition: its result against the reference, and the gradients of a weighted sum of the result, taken by
 * all inputs at once and by each alone, against central differences of the reference, which in float64 are good to nine digits.
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

  const result = run();
  expect(maxError(await result.read(), define()), 'result').toBeLessThanOrEqual(forward);

  const weights = randoms(result.size, 70);
  const dy = Tensor.from(gpu, weights, result.shape);
  const objective = () => {
    const y = define();
    return weights.reduce((total, weight, i) => total + weight * y[i]!, 0);
  };
  const differences = inputs.map(() => new Map<number, number>());
  const check = async (parameters: readonly Tensor[], what: string) => {
    const { value, gradients } = valueAndGradients(run, parameters, dy);
    value.dispose();
    for (const [i, input] of inputs.entries()) {
      if (!parameters.includes(input)) continue;
      const gradientOfInput = gradients.get(input);
      expect(gradientOfInput?.shape, `shape of the gradient by input ${i}`).toEqual(shapes[i]);
      const found = await gradientOfInput!.read();
      gradientOfInput!.dispose();
      const known = differences[i]!;
      if (known.size === 0)
        for (const at of placesOf(found, result.size)) known.set(at, difference(objective, exact[i]!, at));
      const error = maxError(
        Array.from(known.keys(), (at) => found[at]!),
        [...known.values()],
      );
      expect(error, `gradient by input ${i} ${what}`).toBeLessThanOrEqual(gradient);
    }
  };
  await check(inputs, 'among all');
  if (inputs.length > 1) for (const input of inputs) await check([input], 'alone');
  for (const tensor of [result, dy, ...inputs]) tensor.dispose();
  expect(gpu.pool.statistics.liveBuffers, 'buffers in use').toBe(liveBuffers);
}

/**
 * The elements of a gradient to look at: all of a small one; of a large one the largest, by which errors are measured, and some evenly
 * spread from the first to the last, fewer where the definition takes long.
 */
function placesOf(gradient: Float32Array, resultSize: number): Set<number> {
  const count = Math.min(gradient.length, Math.max(3, Math.min(24, Math.floor(2e5 / resultSize))));
  const spread = Array.from({ length: count }, (_, s) =>
    Math.floor((s * (gradient.length - 1)) / Math.max(1, count - 1)),
  );
  const largest = gradient.reduce(
    (best, value, at) => (Math.abs(value) > Math.abs(gradient[best]!) ? at : best),
    0,
  );
  return new Set([largest, ...spread]);
}

/** Central difference of f by an element of an array that it reads. */
function difference(f: () => number, input: Float64Array, at: number): number {
  const value = input[at]!;
  const step = 1e-4 * Math.max(1, Math.abs(value));
  input[at] = value + step;
  const up = f();
  input[at] = value - step;
  const down = f();
  input[at] = value;
  return (up - down) / (2 * step);
}
