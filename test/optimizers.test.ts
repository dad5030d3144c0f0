import { describe, expect, it } from 'vitest';
import { AdamW, Sgd } from '../src/autograd/optimizers.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const size = 300;
const gradientAt = (step: number) => randoms(size, 100 + step);

describe('Sgd', () => {
  it('follows the definition of torch.optim.SGD for 20 steps of changing rate, replayed as well as plain', async () => {
    const gpu = await sharedGpu();
    const start = randoms(size, 1);
    const p = Float64Array.from(start);
    const v = new Float64Array(size);
    const parameter = Tensor.from(gpu, start);
    const gradient = Tensor.from(gpu, gradientAt(0));
    const optimizer = new Sgd([parameter], { lr: 0.1, momentum: 0.9, weightDecay: 5e-4 });
    const run = () => optimizer.step(new Map([[parameter, gradient]]));
    let replay: (() => void) | undefined;
    for (let step = 0; step < 20; step++) {
      const lr = 0.1 / (1 + step);
      optimizer.setLearningRate(lr);
      gradient.write(gradientAt(step));
      if (step < 3) run();
      else if (replay) replay();
      else {
        const { recording } = gpu.capture(run);
        replay = () => recording.replay();
      }
      for (const [i, g] of gradientAt(step).entries()) {
        v[i] = 0.9 * v[i]! + (g + 5e-4 * p[i]!);
        p[i]! -= lr * v[i]!;
      }
      expect(maxError(await parameter.read(), p)).toBeLessThan(2e-6);
    }
    optimizer.dispose();
  });

  it('follows the definition of Nesterov momentum for 20 steps', async () => {
    const gpu = await sharedGpu();
    const start = randoms(size, 3);
    const p = Float64Array.from(start);
    const v = new Float64Array(size);
    const parameter = Tensor.from(gpu, start);
    const gradient = Tensor.from(gpu, gradientAt(0));
    const optimizer = new Sgd([parameter], { lr: 0.02, momentum: 0.9, weightDecay: 1e-2, nesterov: true });
    for (let step = 0; step < 20; step++) {
      gradient.write(gradientAt(step));
      optimizer.step(new Map([[parameter, gradient]]));
      for (const [i, g] of gradientAt(step).entries()) {
        const d = g + 1e-2 * p[i]!;
        v[i] = 0.9 * v[i]! + d;
        p[i]! -= 0.02 * (d + 0.9 * v[i]!);
      }
    }
    expect(maxError(await parameter.read(), p)).toBeLessThan(2e-6);
    expect(() => new Sgd([parameter], { lr: 1, nesterov: true })).toThrow(/needs a momentum/);
    optimizer.dispose();
  });

  it('leaves a parameter without a gradient alone', async () => {
    const gpu = await sharedGpu();
    const frozen = Tensor.from(gpu, [1, 2, 3]);
    const optimizer = new Sgd([frozen], { lr: 1, weightDecay: 1 });
    optimizer.step(new Map());
    expect(await frozen.read()).toEqual(Float32Array.of(1, 2, 3));
    optimizer.dispose();
  });
});

describe('AdamW', () => {
  /** The definition in float64: the parameter after steps 1 to `steps` at rate lr / step. */
  function reference(start: Float32Array, steps: number, lr: number, decay: number): Float64Array {
    const p = Float64Array.from(start);
    const m = new Float64Array(size);
    const v = new Float64Array(size);
    for (let step = 1; step <= steps; step++)
      for (const [i, g] of gradientAt(step).entries()) {
        p[i]! *= 1 - (lr / step) * decay;
        m[i] = 0.9 * m[i]! + 0.1 * g;
        v[i] = 0.999 * v[i]! + 0.001 * g * g;
        p[i]! -=
          ((lr / step) * (m[i]! / (1 - 0.9 ** step))) / (Math.sqrt(v[i]! / (1 - 0.999 ** step)) + 1e-8);
      }
    return p;
  }

  it('follows the definition of torch.optim.AdamW for 20 steps, replayed as well as plain', async () => {
    const gpu = await sharedGpu();
    const start = randoms(size, 2);
    const parameter = Tensor.from(gpu, start);
    const gradient = Tensor.from(gpu, gradientAt(0));
    const optimizer = new AdamW([parameter], { lr: 0.1, weightDecay: 0.1 });
    const run = () => optimizer.step(new Map([[parameter, gradient]]));
    let replay: (() => void) | undefined;
    for (let step = 1; step <= 20; step++) {
      optimizer.setLearningRate(0.1 / step);
      gradient.write(gradientAt(step));
      if (step < 3) run();
      else if (replay) replay();
      else {
        const { recording } = gpu.capture(run);
        replay = () => recording.replay();
      }
      expect(maxError(await parameter.read(), reference(start, step, 0.1, 0.1))).toBeLessThan(2e-6);
    }
    optimizer.dispose();
  });

  it('counts its steps on the GPU to the accuracy of float32, and from any step on', async () => {
    const gpu = await sharedGpu();
    const parameter = Tensor.from(gpu, [1]);
    const optimizer = new AdamW([parameter], { lr: 0.1 });
    const settings = optimizer.state().get('settings')!;
    for (let step = 1; step <= 3000; step++) {
      optimizer.step(new Map());
      if (![1, 2, 10, 100, 3000].includes(step)) continue;
      const [lr, first, second] = await settings.read();
      expect(lr).toBeCloseTo(0.1, 7);
      expect(Math.abs(first! / (1 - 0.9 ** step) - 1)).toBeLessThan(1e-6);
      expect(Math.abs(second! / (1 - 0.999 ** step) - 1)).toBeLessThan(5e-6);
    }
    optimizer.prepare(7, 0.5);
    optimizer.step(new Map());
    const expected = [0.5, 1 - 0.9 ** 7, 1 - 0.999 ** 7];
    expect(maxError(await settings.read(), expected)).toBeLessThan(1e-6);
    optimizer.dispose();
  });
});

describe.each([
  ['Sgd', (p: Tensor) => new Sgd([p], { lr: 0.1, momentum: 0.9 })],
  ['AdamW', (p: Tensor) => new AdamW([p], { lr: 0.1 })],
] as const)('the state of %s', (_, create) => {
  it('goes on elsewhere bit for bit', async () => {
    const gpu = await sharedGpu();
    const run = (parameter: Tensor, optimizer: Sgd | AdamW, from: number, to: number) => {
      for (let step = from; step < to; step++)
        optimizer.step(new Map([[parameter, Tensor.from(gpu, gradientAt(step))]]));
    };
    const whole = Tensor.from(gpu, randoms(size, 4));
    const first = create(whole);
    run(whole, first, 0, 5);
    const values = new Map<string, Float32Array>();
    for (const [name, tensor] of first.state()) values.set(name, await tensor.read());
    const resumed = Tensor.from(gpu, await whole.read());
    const second = create(resumed);
    second.load(values);
    run(whole, first, 5, 9);
    run(resumed, second, 5, 9);
    expect(await resumed.read()).toEqual(await whole.read());
    const [name] = values.keys();
    expect(() => second.load(new Map([...values, [name!, new Float32Array(2)]]))).toThrow(
      /holds 2 numbers, expected 300/,
    );
    expect(() => second.load(new Map())).toThrow(/is missing, expected 300/);
    for (const optimizer of [first, second]) optimizer.dispose();
  });
});

/** Parameters of sizes that end and begin workgroups at every place, and gradients of all but one. */
describe.each([
  ['Sgd', (parameters: Tensor[]) => new Sgd(parameters, { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 })],
  ['AdamW', (parameters: Tensor[]) => new AdamW(parameters, { lr: 0.1 })],
] as const)('%s of many parameters', (_, create) => {
  it('is that of each by itself, bit for bit, in a few launches', async () => {
    const gpu = await sharedGpu();
    const sizes = [1, 511, 512, 513, 64, 3, 2000, 1, 1, 700, 5, 1025];
    const values = (seed: number) => sizes.map((count, i) => randoms(count, seed + i));
    const of = (seed: number) => values(seed).map((one) => Tensor.from(gpu, one));
    const [together, apart] = [of(1), of(1)];
    const whole = create(together);
    const each = apart.map((parameter) => create([parameter]));
    for (let step = 0; step < 3; step++) {
      const gradients = of(100 + 20 * step);
      const { dispatches } = gpu.counters;
      whole.step(new Map(together.flatMap((one, i) => (i === 4 ? [] : [[one, gradients[i]!] as const]))));
      expect(gpu.counters.dispatches - dispatches).toBeLessThan(sizes.length - 3);
      for (const [i, one] of apart.entries())
        each[i]!.step(i === 4 ? new Map() : new Map([[one, gradients[i]!]]));
    }
    for (const [i, one] of together.entries()) expect(await one.read()).toEqual(await apart[i]!.read());
    expect(await together[4]!.read()).toEqual(values(1)[4]);
    for (const one of [whole, ...each, ...together, ...apart]) one.dispose();
  });
});
