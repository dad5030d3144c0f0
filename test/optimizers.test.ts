import { describe, expect, it } from 'vitest';
import { AdamW, Sgd } from '../src/autograd/optimizers.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { sharedGpu } from './gpu.ts';
import { errorOf, randoms } from './reference.ts';

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
      expect(errorOf(await parameter.read(), p)).toBeLessThan(2e-6);
    }
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
  it('follows the definition of torch.optim.AdamW for 20 steps', async () => {
    const gpu = await sharedGpu();
    const start = randoms(size, 2);
    const p = Float64Array.from(start);
    const m = new Float64Array(size);
    const v = new Float64Array(size);
    const parameter = Tensor.from(gpu, start);
    const gradient = Tensor.from(gpu, gradientAt(0));
    const optimizer = new AdamW([parameter], { lr: 0.01, weightDecay: 0.1 });
    for (let step = 1; step <= 20; step++) {
      const lr = 0.01 / step;
      optimizer.prepare(step, lr);
      gradient.write(gradientAt(step));
      optimizer.step(new Map([[parameter, gradient]]));
      for (const [i, g] of gradientAt(step).entries()) {
        p[i]! *= 1 - lr * 0.1;
        m[i] = 0.9 * m[i]! + 0.1 * g;
        v[i] = 0.999 * v[i]! + 0.001 * g * g;
        p[i]! -= (lr * (m[i]! / (1 - 0.9 ** step))) / (Math.sqrt(v[i]! / (1 - 0.999 ** step)) + 1e-8);
      }
    }
    expect(errorOf(await parameter.read(), p)).toBeLessThan(5e-6);
    optimizer.dispose();
  });
});
