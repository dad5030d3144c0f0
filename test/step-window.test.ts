import { describe, expect, it } from 'vitest';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { keep } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { StoredFeatures } from '../src/features/feature-source.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import { TrainingLoop } from '../src/training/loop.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { StepWindow } from '../src/training/step-window.ts';

/** A device that ends its work when it is told to. */
function slowDevice() {
  let [submitted, done] = [0, 0];
  const waits: { upTo: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  return {
    waits,
    /** Steps that it has not done yet. */
    inFlight: () => submitted - done,
    submit: () => void submitted++,
    mark() {
      const upTo = submitted;
      return {
        wait: () =>
          upTo <= done
            ? Promise.resolve()
            : new Promise<void>((resolve, reject) => void waits.push({ upTo, resolve, reject })),
      };
    },
    /** It does all steps that somebody waits for, and no other. */
    finishWaited() {
      const { upTo, resolve } = waits.shift()!;
      done = Math.max(done, upTo);
      resolve();
    },
  };
}
const turns = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('a window of steps', () => {
  it('fills up to its depth, and from then on never empties by more than half of it', async () => {
    const device = slowDevice();
    const window = new StepWindow(device, 8);
    const levels: number[] = [];
    const loop = (async () => {
      for (let step = 0; step < 40; step++) {
        device.submit();
        await window.admit();
        levels.push(device.inFlight());
      }
    })();
    for (;;) {
      await turns();
      if (device.waits.length === 0) break;
      expect(device.inFlight()).toBe(8);
      device.finishWaited();
    }
    await loop;
    expect(levels).toHaveLength(40);
    expect(levels.slice(0, 7)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    // What it had in its queue when the loop went on: a bubble would be a 0.
    expect(Math.min(...levels.slice(7))).toBe(4);
    expect(Math.max(...levels)).toBeLessThan(8);
  });

  it('throws what the steps that it waits for met', async () => {
    const device = slowDevice();
    const window = new StepWindow(device, 2);
    device.submit();
    await window.admit();
    device.submit();
    const admitted = window.admit();
    device.waits.shift()!.reject(new Error('lost'));
    await expect(admitted).rejects.toThrow('lost');
  });
});

it('the training loop never waits for its last step within an epoch, and ends between two steps', async () => {
  const gpu = await openGpu({ backend: 'null' });
  const [weight, target] = [keep(Tensor.zeros(gpu, [4])), keep(Tensor.zeros(gpu, [4]))];
  const [count, batchSize] = [60, 2];
  const features = new StoredFeatures(
    4,
    1,
    new Map(Array.from({ length: count }, (_, i) => [i, new Float32Array(4)])),
  );
  const learner = {
    parameters: () => new Map([['weight', weight]]),
    loss: () => mseLoss(weight, target),
    predict: ({ gpu: on }: Tensor) => Tensor.zeros(on, [0]),
    constants: () => Promise.resolve(new Map()),
    dispose: () => weight.dispose(),
  };
  const none = new Int32Array();
  const loop = new TrainingLoop(
    gpu,
    learner,
    {
      train: Int32Array.from({ length: count }, (_, i) => i),
      val: none,
      test: none,
      mos: new Float32Array(count),
      classes: new Uint32Array(count),
      trainFeatures: features,
      testFeatures: features,
    },
    { ...defaultSettings(), tune: 'never', epochs: 1, batchSize },
  );
  const mark = gpu.mark.bind(gpu);
  /** Steps submitted when a wait began, less those that it is for. */
  const behind: number[] = [];
  let steps = 0;
  gpu.mark = () => {
    const at = steps + 1; // the one just submitted is told of after the wait
    const { wait } = mark();
    const waiting = () => {
      behind.push(steps + 1 - at);
      return wait();
    };
    return { wait: waiting };
  };
  const stopping = new AbortController();
  const run = loop.run(
    { epoch: 0, records: [], best: null },
    { step: (done) => (steps = done) === 25 && stopping.abort(new Error('stopped')) },
    stopping.signal,
  );
  await expect(run).rejects.toThrow('stopped');
  expect(steps).toBe(25);
  // The first is the warm-up's, before any step.
  expect(behind.slice(1)).toEqual([4, 4, 4, 4, 4]);
  loop.dispose();
  learner.dispose();
  gpu.close();
});
