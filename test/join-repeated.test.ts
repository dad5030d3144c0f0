import { expect, it } from 'vitest';
import { dropout } from '../src/autograd/ops/dropout.ts';
import { joinRepeated } from '../src/autograd/ops/join-repeated.ts';
import { concat, expand } from '../src/autograd/ops/shape.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

it.each([
  [32, 12, 260],
  [5, 4, 8],
  [3, 6, 7], // by the ops apart
])(
  'joins %i rows of %i with one of %i, and drops as the ops apart do, bit for bit',
  async (rows, own, other) => {
    const gpu = await sharedGpu();
    const { liveBuffers } = gpu.pool.statistics;
    const x = Tensor.from(gpu, randoms(rows * own, 1), [rows, own]);
    const repeated = Tensor.from(gpu, randoms(other, 2));
    const dy = Tensor.from(gpu, randoms(rows * (own + other), 3), [rows, own + other]);
    const seed = Tensor.from(gpu, Uint32Array.of(7, 11));
    for (const p of [0, 0.4]) {
      const drop = { p, seed, stream: 3 };
      const run = async (f: () => Tensor, parameters: Tensor[]) => {
        const { dispatches } = gpu.counters;
        const { value, gradients } = valueAndGradients(f, parameters, dy);
        const launches = gpu.counters.dispatches - dispatches;
        const found = [await value.read()];
        for (const one of gradients.values()) found.push(await one.read());
        for (const one of [value, ...gradients.values()]) one.dispose();
        return { found, launches };
      };
      const apart = () => dropout(concat([x, expand(repeated, rows)], 1), p, drop);
      const joined = () => joinRepeated(x, repeated, drop);
      for (const parameters of [[repeated], [x, repeated]]) {
        const [one, several] = [await run(joined, parameters), await run(apart, parameters)];
        expect(one.found).toEqual(several.found);
        if (parameters.length === 1 && own % 4 === 0) expect(one.launches).toBe(2);
      }
    }
    for (const one of [x, repeated, dy, seed]) one.dispose();
    expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
    expect(() => joinRepeated(repeated, repeated)).toThrow('joinRepeated of');
  },
);
