import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { keep } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { defaultValues } from '../src/common/fields.ts';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { findNonFinite } from '../src/data/formats/finite.ts';
import { StoredFeatures } from '../src/features/feature-source.ts';
import { FeatureScaling } from '../src/model/feature-scaling.ts';
import { initialHead, RegressionHead } from '../src/model/head.ts';
import { writeWeights } from '../src/pretraining/results.ts';
import { pretrainRun } from '../src/pretraining/run.ts';
import { pretrainingFields } from '../src/pretraining/settings.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { checkFinite, NonFiniteError } from '../src/training/finite.ts';
import { HeadTrainer } from '../src/training/learners/head-trainer.ts';
import { ImageOnlyLearner } from '../src/training/learners/image-only.ts';
import { TrainingLoop } from '../src/training/loop.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { parseLoss } from '../src/training/training-loss.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('finite');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 32, seed: 3 }));

const gpu = await sharedGpu();

function diverging(out: string, changes: Partial<Settings>): Promise<Error & { advice?: string }> {
  const values = {
    data: 'scenes',
    root: images,
    weights,
    trainer: 'image-only',
    augment: 'none',
    epochs: 6,
    batchSize: 8,
    cache: join(folder, 'cache'),
    out: join(folder, out),
  };
  const settings = applySettings(defaultSettings(), { ...values, ...changes }, 'test');
  return trainRun(gpu, settings, { resume: false, reporter: silent }).then(
    () => expect.unreachable('the run did not diverge'),
    (error) => error,
  );
}

describe('numbers that are not finite', () => {
  it('are found, the first of them named', () => {
    checkFinite(Float32Array.of(0, -0, 3e38, -3e38, 1e-45), 'ctx', 'in epoch 3');
    checkFinite(0, 'the loss', 'in epoch 3');
    expect(() => checkFinite(-Infinity, 'the loss', 'in epoch 3')).toThrow(
      new NonFiniteError('the loss became -Infinity in epoch 3'),
    );
    expect(() => checkFinite(Float32Array.of(1, 2, Infinity), 'ctx', 'in epoch 3')).toThrow(
      new NonFiniteError('ctx became Infinity in epoch 3 (element 3 of 3)'),
    );
  });

  it('of the last step of an epoch do not replace its checkpoint', async () => {
    // The weight decay alone makes the weights grow by 1e9 a step, which their loss shows a step later.
    const error = await diverging('decay', { weightDecay: 1e10, lr: 0.1, warmupEpochs: 0, momentum: 0 });
    expect(error.message).toMatch(/ became (NaN|-?Infinity)/);
    const path = join(folder, 'decay', 'checkpoint.safetensors');
    const at = /The checkpoint of epoch (\d+) is intact: (.*)$/.exec(error.advice!);
    if (at) {
      expect(at[2]).toBe(path);
      const { state, parameters } = await readCheckpoint(path);
      expect(state.epoch).toBe(Number(at[1]));
      for (const { data } of parameters.values()) expect(findNonFinite(data)).toBeNull();
    } else {
      expect(error.advice).toMatch(/There is no checkpoint yet\.$/);
      expect(existsSync(path)).toBe(false);
    }
    expect(existsSync(join(folder, 'decay', 'model.safetensors'))).toBe(false);
  });

  it('of a later epoch leave the checkpoint before, and say of which epoch it is', async () => {
    // The rate of the warm-up does no harm.
    const error = await diverging('later', { lr: 1e30, warmupEpochs: 2, warmupLr: 1e-5 });
    expect(error.message).toMatch(/(became .* in epoch 3|the prediction for .*\.png became)/);
    const path = join(folder, 'later', 'checkpoint.safetensors');
    expect(error.advice).toContain(`The checkpoint of epoch 2 is intact: ${path}`);
    const { state, parameters, optimizer } = await readCheckpoint(path);
    expect(state.epoch).toBe(2);
    for (const part of [parameters, optimizer])
      for (const { data } of part.values()) expect(findNonFinite(data)).toBeNull();
    expect(
      readFileSync(join(folder, 'later', 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(2);
  });

  it.each([
    ['one step an epoch', { lr: 1e38, warmupEpochs: 0, batchSize: 64, epochs: 1 }],
    ['AdamW', { lr: 1e38, warmupEpochs: 0, optimizer: 'adamw' as const, epochs: 1 }],
    ['a first epoch of many steps', { lr: 1e9, warmupEpochs: 0 }],
  ])(
    'in the first epoch leave no checkpoint and no model, and none is spoken of: %s',
    async (name, changes) => {
      const error = await diverging(name, changes);
      expect(error.message).toMatch(/became/);
      expect(error.advice).toMatch(/There is no checkpoint yet\.$/);
      expect(error.advice).not.toMatch(/intact/);
      for (const file of ['checkpoint', 'model'])
        expect(existsSync(join(folder, name, `${file}.safetensors`))).toBe(false);
    },
  );

  it('in the loss of a training step end it', async () => {
    const width = 8;
    const rows = new Map(Array.from({ length: 8 }, (_, i) => [i, new Float32Array(width).fill(i + 1)]));
    const features = new StoredFeatures(width, 1, rows);
    const head = new RegressionHead(gpu, initialHead(width, width, 1));
    const learner = new ImageOnlyLearner(
      new HeadTrainer({
        head,
        scaling: new FeatureScaling(gpu, null),
        terms: parseLoss('mse'),
        versions: 0,
        grades: null,
      }),
    );
    const data = {
      train: Int32Array.from({ length: 8 }, (_, i) => i),
      val: new Int32Array(),
      test: new Int32Array(),
      mos: new Float32Array(8).fill(Number.NaN),
      classes: new Uint32Array(8),
      trainFeatures: features,
      testFeatures: features,
    };
    const loop = new TrainingLoop(gpu, learner, data, { ...defaultSettings(), batchSize: 4, epochs: 2 });
    await expect(loop.run({ epoch: 0, records: [], best: null })).rejects.toThrow(
      'the training loss became NaN in epoch 1',
    );
    loop.dispose();
    learner.dispose();
  });
});

describe('pre-training that diverges', () => {
  const settings = (out: string, changes: object) => ({
    ...defaultValues(pretrainingFields),
    data: 'scenes',
    root: images,
    imageSize: 32,
    visionWidth: 64,
    visionLayers: 1,
    textWidth: 64,
    textLayers: 1,
    embedding: 16,
    views: 1,
    start: 'random' as const,
    batchSize: 8,
    chunkSize: 8,
    cache: 'none',
    epochs: 2,
    checkpointEvery: 1,
    out: join(folder, out),
    ...changes,
  });

  it('ends at the loss that is not finite, and leaves the checkpoint before', async () => {
    const error = await pretrainRun(gpu, settings('pretrain', { lr: 1e36, warmup: 0, clipNorm: 1e30 }), {
      resume: false,
      reporter: silent,
    }).catch((reason) => reason);
    expect(error.message).toBe('the contrastive loss became NaN in step 2');
    const path = join(folder, 'pretrain', 'checkpoint.safetensors');
    expect(error.advice).toBe(`Lower --lr. The checkpoint of step 1 is intact: ${path}`);
    expect(existsSync(path)).toBe(true);
    expect(existsSync(join(folder, 'pretrain', 'model.safetensors'))).toBe(false);
  });

  it('leaves no weights that float16 cannot hold', async () => {
    const path = join(folder, 'half.safetensors');
    const recipe = settings('half', {});
    for (const [values, message] of [
      [[1, 65520], /w holds 65520, which is out of range for float16/],
      [[1, Number.NaN], /w became NaN/],
    ] as const) {
      const tensor = keep(Tensor.from(gpu, values));
      await expect(writeWeights(path, new Map([['w', tensor]]), recipe)).rejects.toThrow(message);
      tensor.dispose();
    }
    expect(existsSync(path)).toBe(false);
  });
});
