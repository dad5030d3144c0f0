import { afterAll, describe, expect, it } from 'vitest';
import { multiply } from '../src/autograd/ops/arithmetic.ts';
import { matmul } from '../src/autograd/ops/matmul.ts';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { addTo } from '../src/kernels/elementwise.ts';
import { measureStep } from '../src/step/measure.ts';
import { sharedGpu } from './gpu.ts';

const gpu = await sharedGpu();
const grain = 100_000;

/** The device with a clock as browsers give it. */
const rounded = new Proxy(gpu, {
  get(target, name) {
    const value = Reflect.get(target, name, target);
    if (name === 'timeline')
      return async (...args: Parameters<Gpu['timeline']>) =>
        (await target.timeline(...args)).map(({ name, begin, end }) => ({
          name,
          begin: Math.floor(begin / grain) * grain,
          end: Math.floor(end / grain) * grain,
        }));
    return typeof value === 'function' ? value.bind(target) : value;
  },
});

const small = Tensor.from(gpu, new Float32Array(64).fill(1), [64]);
const matrix = Tensor.from(gpu, new Float32Array(128 * 128), [128, 128]);
const { recording } = gpu.capture(() =>
  scope(() => {
    multiply(small, small);
    matmul(matrix, matrix);
    multiply(small, small);
  }),
);
afterAll(() => recording.dispose());

describe('a clock that is rounded to 0.1 ms', () => {
  it('has dispatches run often enough, and their mean is of the size of their time', async () => {
    const [by, exactly] = [
      await measureStep(rounded, recording, 3, () => {}),
      await measureStep(gpu, recording, 3, () => {}),
    ];
    expect(by.resolution).toBeGreaterThanOrEqual(grain);
    expect(exactly.dispatches.map(({ repeats }) => repeats)).toEqual([1, 1, 1]);
    for (const [i, { ns, repeats }] of by.dispatches.entries()) {
      expect(repeats).toBeGreaterThan(1);
      // Enough grains for a time that is right to a few percent, on a machine that does other things, too.
      expect(ns * repeats).toBeGreaterThan(8 * grain);
      // The product is no short one on every machine.
      if (i !== 1) expect(ns).toBeLessThan(16 * grain);
    }
  });

  it('runs the dispatch that is asked for as often as it is asked for', async () => {
    const [one, sum, other] = [Tensor.from(gpu, [1]), Tensor.zeros(gpu, [1]), Tensor.zeros(gpu, [1])];
    const times = await gpu.timeline(
      () => {
        addTo(gpu, one.buffer, other.buffer, 1);
        addTo(gpu, one.buffer, sum.buffer, 1);
      },
      (dispatch) => [1, 5][dispatch]!,
    );
    expect(times.length).toBe(2);
    expect([...(await sum.read()), ...(await other.read())]).toEqual([5, 1]);
    for (const tensor of [one, sum, other]) tensor.dispose();
  });
});
