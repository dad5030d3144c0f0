import { describe, expect, it, vi } from 'vitest';
import { multiply } from '../src/autograd/ops/arithmetic.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { Sgd } from '../src/autograd/optimizers.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { HangError } from '../src/kernels/device/watchdog.ts';
import { matmul } from '../src/kernels/matmul/index.ts';
import { packsIntoTexture } from '../src/kernels/matmul/packed-weight.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const gpu = await sharedGpu();

/** A small regression model whose step can be run plainly or captured. */
function learner(device: Gpu) {
  const parameters = [
    Tensor.from(device, randoms(32 * 5, 1), [32, 5]),
    Tensor.from(device, randoms(32, 2)),
    Tensor.from(device, randoms(32, 3), [1, 32]),
  ];
  const [w1, b1, w2] = parameters as [Tensor, Tensor, Tensor];
  const [x, y] = [Tensor.zeros(device, [17, 5]), Tensor.zeros(device, [17, 1])];
  const optimizer = new Sgd(parameters, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 });
  const step = () =>
    scope(() => {
      const { value, gradients } = valueAndGradients(() => {
        const hidden = linear(x, w1, b1, { activation: 'relu' });
        return mseLoss(linear(layerNorm(hidden, null, null), w2, null), y);
      }, parameters);
      optimizer.step(gradients);
      return value;
    });
  const feed = (i: number) => {
    x.write(randoms(17 * 5, 100 + i));
    y.write(randoms(17, 200 + i));
    optimizer.setLearningRate(0.05 / (1 + i));
  };
  const dispose = () => {
    optimizer.dispose();
    for (const tensor of [...parameters, x, y]) tensor.dispose();
  };
  return { parameters, step, feed, dispose, x };
}

const steps = 25;

async function plainly(): Promise<Float32Array[]> {
  const { parameters, step, feed, dispose } = learner(gpu);
  const results: Float32Array[] = [];
  for (let i = 0; i < steps; i++) {
    feed(i);
    const loss = step();
    results.push(await loss.read());
    loss.dispose();
  }
  for (const parameter of parameters) results.push(await parameter.read());
  dispose();
  return results;
}

describe('capture and replay', () => {
  it('equals plain execution bit for bit, with inputs that change', async () => {
    const expected = await plainly();
    const { parameters, step, feed, dispose } = learner(gpu);
    feed(0);
    const { recording, value } = gpu.capture(step);
    expect(recording.dispatches).toBeGreaterThan(5);
    const results = [await value.read()];
    const { created } = gpu.pool.statistics;
    for (let i = 1; i < steps; i++) {
      feed(i);
      recording.replay();
      results.push(await value.read());
      // Whatever happens between the replays must not disturb the step's own buffers.
      scope(() => multiply(Tensor.zeros(gpu, [17, 32]), Tensor.zeros(gpu, [17, 32]))).dispose();
    }
    expect(gpu.pool.statistics.created).toBeLessThanOrEqual(created + 3); // those of the work in between, once
    for (const parameter of parameters) results.push(await parameter.read());
    expect(results).toEqual(expected);
    value.dispose();
    recording.dispose();
    dispose();
  });

  it('runs the same twice', async () => {
    expect(await plainly()).toEqual(await plainly());
  });

  it('is refused when a borrowed buffer was given back, also if it was allocated again', () => {
    const { step, feed, x, dispose } = learner(gpu);
    feed(0);
    const { recording, value } = gpu.capture(step);
    recording.replay();
    x.dispose();
    expect(() => recording.replay()).toThrow(/replay refused: buffer \d+.* released since/);
    const again = Tensor.zeros(gpu, [17, 5]);
    expect(() => recording.replay()).toThrow(/replay refused/);
    for (const tensor of [again, value]) tensor.dispose();
    recording.dispose();
    dispose();
  });

  it('is refused after it was disposed of, and its buffers go back to everybody', async () => {
    const { liveBuffers, liveBytes } = gpu.pool.statistics;
    const { step, feed, dispose } = learner(gpu);
    feed(0);
    const { recording, value } = gpu.capture(step);
    recording.replay();
    for (const part of [value, recording, recording]) part.dispose();
    expect(() => recording.replay()).toThrow(/disposed/);
    dispose();
    expect(gpu.pool.statistics).toMatchObject({ liveBuffers, liveBytes });
    // Nobody holds them any more, but the last replay, still unsubmitted, does.
    const { heldBytes } = gpu.pool.statistics;
    gpu.pool.trim();
    expect(gpu.pool.statistics.heldBytes).toBeLessThan(heldBytes);
    await gpu.finish();
  });

  it('refuses writes from the host inside a capture, and recovers', async () => {
    const x = keep(Tensor.from(gpu, [1, 2]));
    expect(() => gpu.capture(() => scope(() => x.write(Float32Array.of(3, 4))))).toThrow(
      /must not write from the host/,
    );
    x.write(Float32Array.of(5, 6));
    expect(await x.read()).toEqual(Float32Array.of(5, 6));
    expect(() => gpu.capture(() => gpu.capture(() => 0))).toThrow(/already in progress/);
    const { recording, value } = gpu.capture(() => scope(() => multiply(x, x)));
    expect(await value.read()).toEqual(Float32Array.of(25, 36));
    for (const tensor of [value, x]) tensor.dispose();
    recording.dispose();
  });
});

it('a captured product copies its operands into textures again at each replay', async () => {
  const [m, k, n] = [24, 64, 64];
  if (!packsIntoTexture(gpu, n, k)) return;
  const [a, b, out] = [m * k, n * k, m * n].map((count) => gpu.pool.allocate(4 * count));
  const product = (variant: 'naive' | 'texture24x32') => () =>
    matmul(gpu, { a: a!, b: b!, out: out!, m, k, n, transposeB: true, variant });
  const read = async () => new Float32Array(await gpu.read(out!, 4 * m * n));
  const feed = (i: number) => {
    gpu.write(a!, randoms(m * k, 300 + i));
    gpu.write(b!, randoms(n * k, 400 + i));
  };
  feed(0);
  const { recording } = gpu.capture(product('texture24x32'));
  for (let i = 1; i < 4; i++) {
    feed(i);
    recording.replay();
    const got = await read();
    product('naive')();
    expect(maxError(got, await read())).toBeLessThan(1e-6);
  }
  recording.dispose();
  for (const buffer of [a, b, out]) gpu.pool.release(buffer!);
});

it('a replay that does not come to an end is noticed, with the names of its kernels', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const own = await openGpu({ watchdog: 600 });
  try {
    const x = Tensor.from(own, randoms(64, 9), [8, 8]);
    const { recording } = own.capture(() => scope(() => void multiply(layerNorm(x, null, null), x)));
    await own.finish();
    recording.replay();
    // Never settled: the timers stand still while the device works.
    const hanging = own.device.queue;
    vi.spyOn(Object.getPrototypeOf(hanging), 'onSubmittedWorkDone').mockReturnValue(new Promise(() => {}));
    const outcome = own.finish().catch((error: Error) => error);
    vi.advanceTimersByTime(700_000);
    const error = (await outcome) as Error;
    expect(error).toBeInstanceOf(HangError);
    expect(error.message).toMatch(/the last kernels submitted: (\w+, )*layernorm\w*, binary\w*$/);
  } finally {
    vi.restoreAllMocks();
    vi.useRealTimers();
    own.close();
  }
});
