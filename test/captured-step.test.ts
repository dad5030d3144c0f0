import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dropout } from '../src/autograd/ops/dropout.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { AdamW } from '../src/autograd/optimizers.ts';
import { keep } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { CapturedStep, type StepOptions } from '../src/training/captured-step.ts';
import { randoms } from './reference/values.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu.close());

const [batch, width, hidden] = [9, 6, 20];

/** Two layers with dropout between them, and everything that changes from step to step as data in a buffer. */
function problem() {
  const kept = (values: Float32Array | Uint32Array, shape?: number[]) =>
    keep(Tensor.from(gpu, values, shape));
  const w1 = kept(randoms(hidden * width, 1), [hidden, width]);
  const w2 = kept(randoms(hidden, 2), [1, hidden]);
  const x = kept(new Float32Array(batch * width), [batch, width]);
  const y = kept(new Float32Array(batch), [batch, 1]);
  const seed = kept(new Uint32Array(2));
  const optimizer = new AdamW([w1, w2], { lr: 0.01, weightDecay: 0.1 });
  const gradients = () =>
    valueAndGradients(() => {
      const rows = linear(x, w1, null, { activation: 'relu' });
      return mseLoss(linear(dropout(rows, 0.3, { seed, stream: 1 }), w2, null), y);
    }, [w1, w2]);
  return {
    parameters: [w1, w2],
    options: {
      warmUp: gradients,
      step: () => optimizer.step(gradients().gradients),
      tune: 'never',
    } satisfies StepOptions,
    feed(i: number) {
      x.write(randoms(batch * width, 100 + i));
      y.write(randoms(batch, 200 + i));
      seed.write(Uint32Array.of(7, i));
      optimizer.setLearningRate(0.01 / (1 + i));
    },
    dispose() {
      optimizer.dispose();
      for (const tensor of [w1, w2, x, y, seed]) tensor.dispose();
    },
  };
}

/** The parameters after each of `steps` steps. */
async function trained(steps: number, capture: boolean): Promise<Float32Array[][]> {
  const { parameters, options, feed, dispose } = problem();
  const step = new CapturedStep(gpu, { ...options, capture });
  const found: Float32Array[][] = [];
  for (let i = 0; i < steps; i++) {
    feed(i);
    await step.run();
    found.push(await Promise.all(parameters.map((parameter) => parameter.read())));
  }
  step.dispose();
  dispose();
  return found;
}

describe('a captured step', () => {
  it('is, replayed, the step run uncaptured each time, bit for bit', async () => {
    const replayed = await trained(40, true);
    expect(replayed).toEqual(await trained(40, false));
    // Each step did something.
    for (const [i, values] of replayed.entries()) expect(values).not.toEqual(replayed[i + 1]);
  });

  it('changes nothing by warming up, which it does once', async () => {
    const { parameters, options, feed, dispose } = problem();
    let warmed = 0;
    let stepped = 0;
    const step = new CapturedStep(gpu, {
      ...options,
      warmUp: () => [warmed++, options.warmUp()],
      step: () => [stepped++, options.step()],
    });
    feed(0);
    const before = await parameters[0]!.read();
    await step.warmUp();
    expect(await parameters[0]!.read()).toEqual(before);
    expect([warmed, stepped]).toEqual([1, 0]);
    for (let i = 0; i < 3; i++) await step.run();
    expect([warmed, stepped]).toEqual([1, 1]);
    expect(await parameters[0]!.read()).not.toEqual(before);
    step.dispose();
    dispose();
  });

  it('makes no buffer and no pipeline after its first run', async () => {
    const { options, feed, dispose } = problem();
    const step = new CapturedStep(gpu, options);
    feed(0);
    await step.run();
    const { created } = gpu.pool.statistics;
    for (let i = 1; i < 5; i++) {
      feed(i);
      await step.run();
    }
    expect(gpu.pool.statistics.created).toBe(created);
    step.dispose();
    dispose();
  });

  it.each(['warmUp', 'step'] as const)('that fails in its %s leaves nothing on the device', async (where) => {
    const { options, feed, dispose } = problem();
    feed(0);
    await gpu.finish();
    const { liveBuffers, liveBytes } = gpu.pool.statistics;
    const step = new CapturedStep(gpu, {
      ...options,
      [where]: () => {
        options[where]();
        Tensor.empty(gpu, [64]);
        throw new Error('no luck');
      },
    });
    await expect(step.run()).rejects.toThrow('no luck');
    expect(gpu.pool.statistics).toMatchObject({ liveBuffers, liveBytes });
    step.dispose();
    dispose();
  });

  it('is refused once disposed, and gives its buffers back', async () => {
    const { liveBuffers, liveBytes } = gpu.pool.statistics;
    const { options, feed, dispose } = problem();
    const step = new CapturedStep(gpu, options);
    const unused = new CapturedStep(gpu, options);
    feed(0);
    await step.run();
    await step.run();
    await gpu.finish();
    gpu.pool.trim();
    const { heldBytes } = gpu.pool.statistics;
    for (const each of [step, step, unused]) each.dispose();
    gpu.pool.trim();
    expect(gpu.pool.statistics.heldBytes).toBeLessThan(heldBytes);
    for (const each of [step, unused]) {
      await expect(each.run()).rejects.toThrow(/this step is disposed/);
      await expect(each.warmUp()).rejects.toThrow(/this step is disposed/);
    }
    dispose();
    expect(gpu.pool.statistics).toMatchObject({ liveBuffers, liveBytes });
  });
});
