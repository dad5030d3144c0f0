import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import type { Op } from '../src/autograd/op.ts';
import { add, multiply, scale } from '../src/autograd/ops/arithmetic.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { sum } from '../src/autograd/ops/reduce.ts';
import { scope } from '../src/autograd/scope.ts';
import { apply, valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const gpu = await sharedGpu();
const vector = (...values: number[]) => Tensor.from(gpu, values);

/** x², which notes what it is asked. */
function watched() {
  const seen = { needs: [] as (readonly boolean[])[], recording: [] as boolean[], gradients: 0 };
  const op: Op<{ inputs: [x: Tensor]; saved: { x: Tensor } }> = {
    name: 'watched',
    forward([x], { needs, recording, save }) {
      seen.needs.push(needs);
      seen.recording.push(recording);
      save({ x });
      return scope(() => multiply(x, x));
    },
    gradient(dy, { saved: { x } }) {
      seen.gradients++;
      return [scale(multiply(dy, x), 2)];
    },
  };
  return { seen, square: (x: Tensor) => apply(op, [x]) };
}

describe('valueAndGradients', () => {
  it('differentiates by each parameter, and adds up several uses', async () => {
    const [a, b] = [vector(1, 2), vector(3, 4)];
    // sum(a·b + a·a)
    const { value, gradients } = valueAndGradients(() => sum(add(multiply(a, b), multiply(a, a))), [a, b]);
    expect(await value.read()).toEqual(Float32Array.of(16));
    expect(await gradients.get(a)!.read()).toEqual(Float32Array.of(5, 8));
    expect(await gradients.get(b)!.read()).toEqual(Float32Array.of(1, 2));
  });

  it('neither keeps nor differentiates what is frozen', () => {
    const { seen, square } = watched();
    const [x, w] = [vector(1, 2), vector(3, 4)];
    const result = valueAndGradients(() => sum(multiply(square(x), w)), [w]);
    expect(seen).toEqual({ needs: [[false]], recording: [false], gradients: 0 });
    expect([...result.gradients.keys()]).toEqual([w]);
    square(x);
    expect(seen.recording).toEqual([false, false]);
    valueAndGradients(() => sum(square(x)), [x]);
    expect(seen).toMatchObject({ recording: [false, false, true], gradients: 1 });
  });

  it('has no gradient for a parameter the value does not depend on', () => {
    const [a, b] = [vector(1), vector(2)];
    expect(valueAndGradients(() => scale(a, 2), [a, b]).gradients.has(b)).toBe(false);
  });

  it('takes the gradient of a value of several elements, ready or made from the value', async () => {
    const a = vector(1, 2, 3);
    const f = () => multiply(a, a);
    const ready = valueAndGradients(f, [a], vector(1, 0, 2));
    expect(await ready.gradients.get(a)!.read()).toEqual(Float32Array.of(2, 0, 12));
    const made = valueAndGradients(f, [a], (value) => scale(value, 1));
    expect(await made.gradients.get(a)!.read()).toEqual(Float32Array.of(2, 16, 54));
    expect(() => valueAndGradients(f, [a])).toThrow(/shape \[3\]: give its gradient/);
  });

  it('gives 1 for a parameter that is the value itself', async () => {
    const a = vector(5);
    expect(
      await valueAndGradients(() => a, [a])
        .gradients.get(a)!
        .read(),
    ).toEqual(Float32Array.of(1));
    expect(await a.read()).toEqual(Float32Array.of(5));
  });

  it('does not nest, and can be used again after a failure', () => {
    const a = vector(1);
    expect(() => valueAndGradients(() => valueAndGradients(() => scale(a, 1), [a]).value, [a])).toThrow(
      /does not nest/,
    );
    expect(valueAndGradients(() => scale(a, 2), [a]).gradients.size).toBe(1);
  });

  it('frees everything but the value and the gradients, after a failure too', () => {
    const a = Tensor.from(gpu, randoms(64, 1), [8, 8]);
    const step = (fail: boolean) =>
      scope(() => {
        valueAndGradients(() => {
          const y = layerNorm(multiply(a, a), null, null);
          if (fail) throw new Error('inside');
          return sum(multiply(y, a));
        }, [a]);
      });
    const before = gpu.pool.statistics.liveBuffers;
    step(false);
    expect(gpu.pool.statistics.liveBuffers).toBe(before);
    expect(() => step(true)).toThrow('inside');
    expect(gpu.pool.statistics.liveBuffers).toBe(before);
    const { value, gradients } = valueAndGradients(() => sum(multiply(a, a)), [a]);
    expect(gpu.pool.statistics.liveBuffers).toBe(before + 2);
    value.dispose();
    gradients.get(a)!.dispose();
    expect(gpu.pool.statistics.liveBuffers).toBe(before);
  });

  it('lets an op add what the other uses of its input have gathered', async () => {
    const x = Tensor.from(gpu, randoms(5 * 19, 2), [5, 19]);
    const [gamma, beta] = [Tensor.from(gpu, randoms(19, 3)), Tensor.from(gpu, randoms(19, 4))];
    // A pre-norm residual block: x meets its gradient on two ways.
    const block = (a: Tensor, g: Tensor, b: Tensor) => {
      const h = scale(a, 0.7);
      return add(multiply(layerNorm(h, g, b), h), h);
    };
    await gradcheck(block, [x, gamma, beta], { tolerance: 1e-2 });
  });
});

it('gradcheck finds a wrong gradient and says where', async () => {
  const wrong: Op<{ inputs: [x: Tensor] }> = {
    name: 'wrong',
    forward: ([x]) => scale(x, 2),
    gradient: (dy) => [scale(dy, 1.9)],
  };
  await expect(gradcheck((x) => apply(wrong, [x]), [vector(1, 2, 3)])).rejects.toThrow(
    /input 0, element \d: gradient .* finite difference/,
  );
});
