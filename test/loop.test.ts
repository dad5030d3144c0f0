import { describe, expect, it } from 'vitest';
import { dropout as dropoutOf } from '../src/autograd/ops/dropout.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { reshape } from '../src/autograd/ops/shape.ts';
import { keep } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { StoredFeatures } from '../src/features/feature-source.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import type { Learner } from '../src/training/learner.ts';
import { TrainingLoop } from '../src/training/loop.ts';
import { defaultSettings, type Settings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';

const width = 64;

/** One linear layer behind dropout. */
function layer(gpu: Gpu, initial = 0.5): Learner {
  const weight = keep(Tensor.from(gpu, new Float32Array(width).fill(initial), [1, width]));
  const score = (features: Tensor) => reshape(linear(features, weight, null), [features.dim(0)]);
  return {
    parameters: () => new Map([['weight', weight]]),
    loss: (batch, { p, seed }) =>
      mseLoss(score(p > 0 ? dropoutOf(batch.features, p, { seed, stream: 1 }) : batch.features), batch.mos),
    predict: score,
    constants: () => Promise.resolve(new Map()),
    dispose: () => weight.dispose(),
  };
}

/** A loop over `train` images, and two to validate by. */
async function loopOf(learner: Learner, train: number, changes: Partial<Settings>): Promise<TrainingLoop> {
  const gpu = await sharedGpu();
  const count = train + 3;
  const rows = new Map(Array.from({ length: count }, (_, i) => [i, new Float32Array(width).fill(1 + i / 8)]));
  const features = new StoredFeatures(width, 1, rows);
  return new TrainingLoop(
    gpu,
    learner,
    {
      train: Int32Array.from({ length: train }, (_, i) => i),
      val: Int32Array.of(train, train + 1, train + 2),
      test: new Int32Array(),
      mos: Float32Array.from({ length: count }, (_, i) => i),
      classes: new Uint32Array(count),
      trainFeatures: features,
      testFeatures: features,
    },
    { ...defaultSettings(), tune: 'never', batchSize: train, ...changes },
  );
}
const begin = { epoch: 0, records: [], best: null };

describe('the training loop', () => {
  it('draws other dropout masks in each epoch, the same ones with the same seed', async () => {
    const gpu = await sharedGpu();
    const losses = async (changes: Partial<Settings>) => {
      // The same one image each step and nothing learned: only the mask can differ.
      const learner = layer(gpu);
      const loop = await loopOf(learner, 1, { epochs: 6, lr: 0, warmupEpochs: 0, ...changes });
      const { records } = await loop.run(begin);
      loop.dispose();
      learner.dispose();
      return records.map(({ loss }) => loss);
    };
    expect(new Set(await losses({ dropout: 0 })).size).toBe(1);
    const dropped = await losses({ dropout: 0.5 });
    // Of 64 places half are dropped: now and then two masks keep equally many.
    expect(new Set(dropped).size).toBeGreaterThan(3);
    expect(await losses({ dropout: 0.5 })).toEqual(dropped);
    expect(await losses({ dropout: 0.5, seed: 2 })).not.toEqual(dropped);
  });

  it('takes the epoch of the highest validation SRCC for the best, the first of equals', async () => {
    const gpu = await sharedGpu();
    // Three scores that rise: SRCC 1, 0.5, -0.5 and -1 by the order in which they are predicted; none for equal ones.
    const predictions = [
      [2, 1, 3],
      [3, 1, 2],
      [1, 1, 1],
      [1, 2, 3],
      [3, 2, 1],
      [4, 5, 6],
      [1, 3, 2],
    ];
    const learner = layer(gpu);
    let epoch = 0;
    const scripted: Learner = { ...learner, predict: () => Tensor.from(gpu, predictions[epoch]!) };
    const loop = await loopOf(scripted, 2, { epochs: predictions.length, dropout: 0, lr: 1e-4 });
    const improvements: boolean[] = [];
    const best: (number | undefined)[] = [];
    const state = await loop.run(begin, {
      epoch: (at, record, improved) => {
        expect(record.epoch).toBe(++epoch);
        improvements.push(improved);
        best.push(at.best?.epoch);
      },
    });
    loop.dispose();
    learner.dispose();
    expect(improvements).toEqual([true, false, false, true, false, false, false]);
    expect(best).toEqual([1, 1, 1, 4, 4, 4, 4]);
    expect(state.best).toEqual({ epoch: 4, srcc: 1 });
  });

  it('stops at a loss that is not finite and says in which epoch', async () => {
    const gpu = await sharedGpu();
    // Finite itself, but its error's square is not: (64 · 1e19)² is above 3.4e38.
    const learner = layer(gpu, 1e19);
    const loop = await loopOf(learner, 2, { epochs: 3, dropout: 0, lr: 0, warmupEpochs: 0 });
    const epochs: number[] = [];
    const run = loop.run({ ...begin, epoch: 1 }, { epoch: ({ epoch }) => void epochs.push(epoch) });
    await expect(run).rejects.toMatchObject({
      name: 'NonFiniteError',
      message: expect.stringMatching(/loss .*epoch 2/),
    });
    expect(epochs).toEqual([]);
    loop.dispose();
    learner.dispose();
  });
});
