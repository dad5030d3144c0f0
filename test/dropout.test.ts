import { describe, expect, it } from 'vitest';
import { dropout } from '../src/autograd/ops/dropout.ts';
import { randomNormal } from '../src/autograd/random.ts';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { normal, philox } from '../src/common/random.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

describe('dropout', () => {
  it.each([
    [1003, 0.3, 12],
    [40, 0.5, 5],
  ])('drops exactly the elements that the host generator says, of %i at p = %d', async (size, p, step) => {
    const gpu = await sharedGpu();
    const seed = Tensor.from(gpu, Uint32Array.of(7, step));
    const dropped = (i: number) =>
      philox([Math.floor(i / 4), step, 4, 0], [7, 0])[i % 4]! < Math.floor(p * 2 ** 32);
    await checkOp(
      (x) => dropout(x, p, { seed, stream: 4 }),
      (x) => x.map((value, i) => (dropped(i) ? 0 : value / (1 - p))),
      [[size]],
    );
  });

  it('drops the given share, other elements at another step or in another stream', async () => {
    const gpu = await sharedGpu();
    const ones = Tensor.from(gpu, new Float32Array(100_000).fill(1));
    const kept = async (step: number, stream: number) => {
      const y = await dropout(ones, 0.5, { seed: Tensor.from(gpu, Uint32Array.of(1, step)), stream }).read();
      return y.map((value) => Number(value !== 0));
    };
    const first = await kept(0, 1);
    const count = first.reduce((a, b) => a + b, 0);
    expect(Math.abs(count - 50_000)).toBeLessThan(800); // five standard deviations of a binomial
    for (const other of [await kept(1, 1), await kept(0, 2)]) {
      const equal = other.filter((value, i) => value === first[i]).length;
      expect(Math.abs(equal - 50_000)).toBeLessThan(800);
    }
    expect(await kept(0, 1)).toEqual(first);
  });

  it('is the identity at p = 0, and refuses to drop everything', async () => {
    const gpu = await sharedGpu();
    const seed = Tensor.from(gpu, Uint32Array.of(3, 5));
    const x = Tensor.from(gpu, randoms(40, 2));
    expect(dropout(x, 0, { seed, stream: 1 })).toBe(x);
    expect(() => dropout(x, 1, { seed, stream: 1 })).toThrow(/not in \[0, 1\)/);
  });

  it('draws another mask at each replay of a captured step, by the seed it finds', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(257, 3));
    const seed = Tensor.from(gpu, new Uint32Array(2));
    const { recording, value } = gpu.capture(() => scope(() => dropout(x, 0.4, { seed, stream: 2 })));
    for (const step of [2 ** 32 - 1, 0, 1]) {
      seed.write(Uint32Array.of(9, step));
      recording.replay();
      const plain = dropout(x, 0.4, { seed: Tensor.from(gpu, Uint32Array.of(9, step)), stream: 2 });
      expect(await value.read()).toEqual(await plain.read());
    }
    value.dispose();
    recording.dispose();
  });
});

it('fills a tensor with the normal numbers of the host generator', async () => {
  const gpu = await sharedGpu();
  const x = randomNormal(gpu, [3, 17], 5, 6, 0.02);
  expect(x.shape).toEqual([3, 17]);
  expect(await x.read()).toEqual(Float32Array.from({ length: 51 }, (_, i) => 0.02 * normal(5, 6, i)));
});
