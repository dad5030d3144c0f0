import { afterAll, expect, it } from 'vitest';
import { add } from '../src/autograd/ops/arithmetic.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { keep } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { matmul, takesNorm } from '../src/kernels/matmul/index.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

/** One that passes for a GPU: there few rows' products take layer norms on their way. */
const passing = await openGpu();
Object.defineProperty(passing, 'adapter', { value: { ...passing.adapter, software: false } });
afterAll(() => passing.close());

interface Options {
  readonly rows: number;
  readonly width: number;
  readonly inner: number;
  /** Asks for the gradient of the second norm's weight, too, for which its own gradient has to be there. */
  readonly learned?: boolean;
}

/**
 * A residual block and a half: layers behind layer norms, of rows whose means are far from 0. The value, the gradients, and the kernels.
 * The layers are few and alike, since a software adapter takes seconds to compile each form of such a product.
 */
async function run(gpu: Gpu, { rows, width, inner, learned = false }: Options) {
  const { liveBuffers } = gpu.pool.statistics;
  let seed = 0;
  const made: Tensor[] = [];
  const values = (shape: number[], scale = 1, shift = 0) => {
    const data = randoms(elementCount(shape), ++seed).map((value) => value * scale + shift);
    const tensor = keep(Tensor.from(gpu, data, shape));
    made.push(tensor);
    return tensor;
  };
  const x = values([rows, width], 1, 3);
  const [w1, w2, w3] = [
    values([inner, width], width ** -0.5),
    values([width, inner], inner ** -0.5),
    values([width, width], width ** -0.5),
  ];
  const [b1, b2] = [values([inner]), values([width])];
  const [gamma, beta] = [values([width], 0.5, 1), values([width])];
  const dy = values([rows, width]);
  const kernels: string[] = [];
  gpu.tracer = { dispatch: (kernel) => void kernels.push(kernel) };
  const { value, gradients } = valueAndGradients(
    () => {
      const norm = (of: Tensor) => layerNorm(of, gamma, beta, 1e-3);
      const hidden = linear(norm(x), w1, b1, { activation: 'quick_gelu' });
      const out = linear(hidden, w2, b2, { residual: x });
      return add(linear(norm(out), w3, b2, { activation: 'quick_gelu' }), out);
    },
    learned ? [x, gamma] : [x],
    dy,
  );
  gpu.tracer = undefined;
  const found = [await value.read()];
  for (const one of gradients.values()) found.push(await one.read());
  for (const one of [value, ...gradients.values(), ...made]) one.dispose();
  expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
  return { found, kernels };
}

it.each([
  { rows: 35, width: 516, inner: 132 },
  { rows: 61, width: 132, inner: 136 },
  { rows: 9, width: 132, inner: 516, learned: true },
])('a layer norm, and its gradient, on the way of a product: %o', async (options) => {
  const [together, apart] = [await run(passing, options), await run(await sharedGpu(), options)];
  for (const [i, expected] of apart.found.entries())
    expect(maxError(together.found[i]!, expected)).toBeLessThan(3e-6);
  const norms = (kernels: string[]) => kernels.filter((kernel) => kernel.startsWith('layernorm')).length;
  // No product makes x; and where a norm's weight learns, what reached the norm has to be there, and its gradient is its own launch.
  expect(norms(together.kernels)).toBe(norms(apart.kernels) - (options.learned ? 2 : 3));
  expect(together.kernels.filter((kernel) => kernel === 'matmul_few').length).toBe(6);
  expect(await run(passing, options)).toEqual(together);
});

it('stays a launch of its own before a product that cannot take it, which refuses it', async () => {
  const buffer = passing.pool.allocate(4096);
  const norm = { of: 'rows', gamma: buffer, beta: buffer, eps: 1e-5, stats: buffer } as const;
  const product = { a: buffer, b: buffer, out: buffer, m: 65, n: 128, k: 128, norm };
  expect(takesNorm(passing, { ...product, m: 64 }, 'rows')).toBe(true);
  expect(takesNorm(await sharedGpu(), { ...product, m: 64 }, 'rows')).toBe(false);
  expect(takesNorm(passing, product, 'rows')).toBe(false);
  expect(takesNorm(passing, { ...product, m: 32, batch: 2 }, 'rows')).toBe(false);
  // WebGPU promises eight buffers a launch.
  const { limits } = passing;
  Object.defineProperty(passing, 'limits', { value: { ...limits, maxStorageBuffersPerShaderStage: 8 } });
  const full = { ...product, m: 64, bias: buffer, preactivation: buffer };
  expect(takesNorm(passing, full, 'rows')).toBe(true);
  expect(takesNorm(passing, full, 'gradient')).toBe(false);
  expect(takesNorm(passing, { ...full, residual: buffer }, 'rows')).toBe(false);
  Object.defineProperty(passing, 'limits', { value: limits });
  expect(() => matmul(passing, product)).toThrow('takes no layer norm');
  passing.pool.release(buffer);
});
