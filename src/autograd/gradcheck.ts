import { multiply } from './ops/arithmetic.ts';
import { sum } from './ops/reduce.ts';
import { randomNormal } from './random.ts';
import { scope } from './scope.ts';
import { valueAndGradients } from './tape.ts';
import type { Tensor } from './tensor.ts';
import { callText, observing } from './trace.ts';

/** How {@link gradcheck} compares. */
export interface GradcheckOptions {
  /** Largest error allowed, as a share of the largest gradient of the input. */
  readonly tolerance?: number;
  /** Step of the central difference. Float32 cancels digits, so it may not be small. */
  readonly step?: number;
  /** Which inputs to check; all by default. */
  readonly check?: readonly boolean[];
  readonly seed?: number;
}

/** Elements of an input that are perturbed: all of a small one, evenly spread ones of a large one. */
const samples = 24;

/**
 * Holds the gradients of f against central finite differences of sum(w ∘ f(x)) with fixed random weights w.
 *
 * @throws Error naming the ops of f, the input and the element that departs
 * @returns the largest error found, as a share of the largest gradient
 */
export async function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { tolerance = 1e-2, step = 1e-2, check, seed = 1 }: GradcheckOptions = {},
): Promise<{ maxError: number }> {
  const run = () => f(...inputs);
  const ops = new Set<string>();
  const plain = scope(() =>
    observing((call, op) => {
      ops.add(callText(call));
      return op();
    }, run),
  );
  const what = `gradcheck of ${[...ops].join(', ')}`;
  const weights = randomNormal(plain.gpu, plain.shape, seed, 1);
  plain.dispose();
  const objective = () => scope(() => sum(multiply(run(), weights)));
  const checked = inputs.filter((_, i) => check?.[i] ?? true);
  const { value, gradients } = valueAndGradients(objective, checked);
  value.dispose();
  let maxError = 0;
  for (const [number, input] of inputs.entries()) {
    if (!(check?.[number] ?? true)) continue;
    const gradient = gradients.get(input);
    if (!gradient) throw new Error(`${what}: input ${number} got no gradient`);
    const found = await gradient.read();
    const values = await input.read();
    const scale = Math.max(1e-3, ...found.map(Math.abs));
    const count = Math.min(samples, values.length);
    for (let s = 0; s < count; s++) {
      const at = Math.floor((s * values.length) / count);
      const [value = 0, got = 0] = [values[at], found[at]];
      const shifted = async (by: number) => {
        input.write(values.with(at, value + by));
        const result = objective();
        const [total = Number.NaN] = await result.read();
        result.dispose();
        return total;
      };
      const expected = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
      const error = Math.abs(got - expected) / scale;
      if (!(error <= tolerance))
        throw new Error(
          `${what}: input ${number}, element ${at}: gradient ${got}, finite difference ${expected} (error ${error.toExponential(2)} of the largest)`,
        );
      maxError = Math.max(maxError, error);
    }
    input.write(values);
    gradient.dispose();
  }
  weights.dispose();
  return { maxError };
}
