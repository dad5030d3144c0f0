import { multiply } from './ops/arithmetic.ts';
import { sum } from './ops/reduce.ts';
import { randomNormal } from './random.ts';
import { scope } from './scope.ts';
import { valueAndGradients } from './tape.ts';
import type { Tensor } from './tensor.ts';

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
 * @throws Error naming the input and the element that departs
 * @returns the largest error found, as a share of the largest gradient
 */
export async function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { tolerance = 1e-2, step = 1e-2, check, seed = 1 }: GradcheckOptions = {},
): Promise<{ maxError: number }> {
  const { gpu } = inputs[0]!;
  const plain = scope(() => f(...inputs));
  const weights = randomNormal(gpu, plain.shape, seed, 1);
  plain.dispose();
  const objective = () => scope(() => sum(multiply(f(...inputs), weights)));
  const checked = inputs.filter((_, i) => check?.[i] ?? true);
  const { value, gradients } = valueAndGradients(objective, checked);
  value.dispose();
  let maxError = 0;
  for (const [number, input] of inputs.entries()) {
    if (!(check?.[number] ?? true)) continue;
    const gradient = gradients.get(input);
    if (!gradient) throw new Error(`gradcheck: input ${number} got no gradient`);
    const found = await gradient.read();
    const values = await input.read();
    const scale = Math.max(1e-3, ...found.map(Math.abs));
    for (let s = 0; s < Math.min(samples, values.length); s++) {
      const at = Math.floor((s * values.length) / Math.min(samples, values.length));
      const shifted = async (by: number) => {
        input.write(values.with(at, values[at]! + by));
        const result = objective();
        const [number_] = await result.read();
        result.dispose();
        return number_!;
      };
      const expected = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
      const error = Math.abs(found[at]! - expected) / scale;
      if (!(error <= tolerance))
        throw new Error(
          `gradcheck: input ${number}, element ${at}: gradient ${found[at]}, finite difference ${expected} (error ${error.toExponential(2)} of the largest)`,
        );
      maxError = Math.max(maxError, error);
    }
    input.write(values);
    gradient.dispose();
  }
  weights.dispose();
  return { maxError };
}
