import { describe, expect, it } from 'vitest';
import { clipGradients } from '../src/autograd/clip-gradients.ts';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sumOf } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

describe('clipGradients', () => {
  const sizes = [1, 17, 5000];

  it.each([0.5, 20, 1e4])('brings the norm over all gradients down to %f at most', async (maxNorm) => {
    const gpu = await sharedGpu();
    const values = sizes.map((size, i) => randoms(size, i + 1));
    const norm = Math.sqrt(sumOf(values.map((part) => sumOf(part.map((x) => x * x)))));
    const factor = Math.min(1, maxNorm / (norm + 1e-6));
    const gradients = new Map(
      values.map((part) => [Tensor.zeros(gpu, [part.length]), Tensor.from(gpu, part)]),
    );
    const clipped = [...clipGradients(gradients, maxNorm)];
    expect(clipped.map(([parameter]) => parameter)).toEqual([...gradients.keys()]);
    for (const [i, [, gradient]] of clipped.entries())
      expect(
        maxError(
          await gradient.read(),
          Array.from(values[i]!, (x) => x * factor),
        ),
      ).toBeLessThan(1e-6);
  });

  it('scales a gradient that two parameters share once, and lets zeros and nothing be', async () => {
    const gpu = await sharedGpu();
    const shared = Tensor.from(gpu, [3, 4]);
    const [a, b] = [Tensor.zeros(gpu, [2]), Tensor.zeros(gpu, [2])];
    const gradients = new Map([
      [a, shared],
      [b, shared.view()],
    ]);
    const clipped = clipGradients(gradients, 1);
    for (const parameter of [a, b])
      expect(
        maxError(await clipped.get(parameter)!.read(), [3 / Math.sqrt(50), 4 / Math.sqrt(50)]),
      ).toBeLessThan(1e-6);
    expect(await shared.read()).toEqual(Float32Array.of(3, 4));
    const zero = clipGradients(new Map([[a, Tensor.zeros(gpu, [2])]]), 1);
    expect(await zero.get(a)!.read()).toEqual(Float32Array.of(0, 0));
    expect(clipGradients(new Map(), 1).size).toBe(0);
  });

  it('replays with other gradients', async () => {
    const gpu = await sharedGpu();
    const parameter = Tensor.zeros(gpu, [3]);
    const gradient = Tensor.from(gpu, [2, 3, 6]);
    const { recording, value } = gpu.capture(() =>
      scope(() => clipGradients(new Map([[parameter, gradient]]), 1).get(parameter)!),
    );
    gradient.write(Float32Array.of(20, -30, 60));
    recording.replay();
    expect(maxError(await value.read(), [2 / 7, -3 / 7, 6 / 7])).toBeLessThan(1e-6);
    value.dispose();
    recording.dispose();
  });
});
