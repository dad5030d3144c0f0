import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { decodeImage } from '../src/data/images/decode.ts';
import { degradationsOf } from '../src/data/images/degradations.ts';
import { testTransform } from '../src/data/images/transforms.ts';
import { cropTransforms, joinCrops, nativeCrops } from '../src/features/crops.ts';
import { GradeBoundaries, gradeProbabilities } from '../src/model/grades.ts';
import {
  ensembleOf,
  type HeadKind,
  type HeadValues,
  hiddenLayer,
  initialHead,
  RegressionHead,
} from '../src/model/head.ts';
import { promptSimilarities } from '../src/model/similarities.ts';
import { rowsOf } from '../src/reference/rows.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readModel } from '../src/scoring/trained-model.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';
import { TargetScaling } from '../src/training/target-scaling.ts';
import { parseLoss } from '../src/training/training-loss.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('plus');
const scenes = join(folder, 'scenes');
const gpu = await sharedGpu();

beforeAll(() => makeScenes(scenes, { scenes: 10, versions: 2, size: 80, seed: 3 }));

/** Trains a model, and gives its folder. */
async function train(name: string, changes: Record<string, unknown>): Promise<string> {
  const out = join(folder, name);
  const values = {
    data: 'scenes',
    root: scenes,
    weights: resolve('test/fixtures/tiny-clip.json'),
    layers: '1,2',
    pool: 'stats',
    scaling: 'standard',
    augment: 'none',
    epochs: 3,
    batchSize: 8,
    nCtx: 4,
    lr: 0.01,
    cache: 'none',
    out,
  };
  const settings = applySettings(defaultSettings(), { ...values, ...changes }, 'test');
  await trainRun(gpu, settings, { resume: false, reporter: silent });
  return out;
}

/** Scores of the images that a run tested with, by name, as it predicted them. */
function predictions(run: string): Map<string, number> {
  const [, ...rows] = readFileSync(join(run, 'predictions.csv'), 'utf8').trim().split('\n');
  return new Map(
    rows.map((row) => row.split(',') as [string, string, string]).map(([name, , p]) => [name, Number(p)]),
  );
}

describe('a model with native crops', () => {
  it.each([
    [
      'image-only',
      {
        trainer: 'image-only',
        crops: 2,
        head: 'gated',
        members: 2,
        versions: 2,
        loss: '0.3*mse+plcc+order+0.1*grades',
        mosScaling: 'standard',
      },
    ],
    ['clip-agiqa-plus', { trainer: 'clip-agiqa-plus', crops: 1, featureLength: true, loss: 'mse+fidelity' }],
    ['on the projected feature', { trainer: 'clip-agiqa-plus', crops: 1, layers: '', pool: 'cls' }],
  ])('%s scores images as it did in training, beside texts too', async (name, changes) => {
    const run = await train(name, changes);
    const expected = predictions(run);
    expect(expected.size).toBeGreaterThan(2);
    const scorer = await Scorer.load(gpu, run, { pairs: [['good', 'bad']] });
    try {
      const paths = [...expected.keys()].map((file) => join(scenes, file));
      const scores: number[] = [];
      let failed = 0;
      for await (const result of scorer.score([...paths, join(folder, 'none.png')])) {
        if ('error' in result) failed++;
        else {
          scores.push(result.score);
          expect(result.columns?.['good|bad']).toBeGreaterThan(0);
        }
      }
      expect(maxError(scores, [...expected.values()])).toBeLessThan(1e-5);
      expect(failed).toBe(1);
      // A program that has the pixels gives them with its native crops, as a page does.
      const { imageSize, crops } = scorer.pixels;
      const image = await decodeImage(readFileSync(paths[0]!), paths[0]!);
      const natives = nativeCrops(image, imageSize, crops);
      expect(natives.length).toBe(changes.crops);
      const alone = await scorer.pixels.scoreWithCrops(testTransform(image, imageSize), natives);
      expect(Math.abs(alone - scores[0]!)).toBeLessThan(1e-5 * Math.max(1, Math.abs(alone)));
    } finally {
      await scorer.close();
    }
    expect(new Set(expected.values()).size).toBeGreaterThan(2);
  });

  it('prompts learn, and are kept as what images are compared with', async () => {
    const run = join(folder, 'clip-agiqa-plus');
    const { parameters, constants, words } = await readModel(run);
    expect(parameters.get('ctx')!.shape).toEqual([4, 64]);
    expect(constants.get('similarities.text')!.shape).toEqual([words.length, 32]);
  });
});

describe('settings that do not go together', () => {
  it.each([
    [{ trainer: 'clip-agiqa', crops: 2 }, /clip-agiqa takes no --crops/],
    [{ trainer: 'image-only', crops: 2, augment: 'crop' }, /--crops goes beside center crops/],
    [{ trainer: 'image-only', featureLength: true, scaling: 'unit' }, /--feature-length and --scaling unit/],
    [{ trainer: 'image-only', loss: '2*mae' }, /--loss "2\*mae" is no sum of losses/],
    [{ trainer: 'clip-agiqa', members: 2 }, /clip-agiqa has no --members/],
    [{ trainer: 'image-only', loss: 'mse+order' }, /--loss order compares center crops/],
    [{ trainer: 'image-only', versions: 2 }, /--versions is for --loss order alone/],
  ])('%j are refused', async (changes, message) => {
    await expect(train('refused', changes)).rejects.toThrow(message);
  });
});

describe('parseLoss', () => {
  it('takes weights, and 1 where there is none', () => {
    expect(parseLoss('0.3*mse + plcc+2e-2*norm-in-norm')).toEqual([
      { name: 'mse', weight: 0.3 },
      { name: 'plcc', weight: 1 },
      { name: 'norm-in-norm', weight: 0.02 },
    ]);
  });

  it.each(['', 'mse+', 'mse+mse', '0*mse', '-1*mse', 'mse*2', 'toString', '1..2*mse'])(
    'refuses %j',
    (text) => {
      expect(() => parseLoss(text)).toThrow(/is no sum of losses/);
    },
  );
});

it('crops of an image are the resized one and native ones, whose features are averaged', () => {
  expect(cropTransforms(2)).toEqual([
    { kind: 'test' },
    { kind: 'native', x: 0.5, y: 0.5 },
    { kind: 'native', x: 0, y: 0 },
  ]);
  expect(joinCrops(Float32Array.of(1, 2, 3, 4, 5, 8), 2)).toEqual(Float32Array.of(1, 2, 4, 6));
  expect(joinCrops(Float32Array.of(1, 2), 2)).toEqual(Float32Array.of(1, 2));
});

it('similarities are logits of cosines less their mean over the prompts, part by part', async () => {
  const unit = (row: Float64Array) => row.map((value) => value / Math.hypot(...row));
  await checkOp(
    (x, text) => promptSimilarities(x, text, { places: [1, 4], logitScale: 3 }),
    (x, text) =>
      rowsOf(x, 8).flatMap((row) =>
        [1, 4].flatMap((at) => {
          const part = unit(row.slice(at, at + 3));
          const logits = rowsOf(text, 3).map(
            (t) => 3 * part.reduce((sum, value, i) => sum + value * t[i]!, 0),
          );
          const mean = logits.reduce((sum, value) => sum + value, 0) / logits.length;
          return logits.map((value) => value - mean);
        }),
      ),
    [
      [5, 8],
      [4, 3],
    ],
    { forward: 2e-6 },
  );
});

describe('a head', () => {
  const sigma = (z: number) => 1 / (1 + Math.exp(-z));
  const units = {
    relu: (z: readonly number[]) => z.map((value) => Math.max(value, 0)),
    sigmoid: (z: readonly number[]) => z.map(sigma),
    gated: (z: readonly number[]) => z.slice(0, 3).map((value, i) => value * sigma(z[3 + i]!)),
  };
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

  it.each(Object.entries(units))('of %s units, and their gradients', (kind, act) => {
    const outputs = kind === 'gated' ? 6 : 3;
    return checkOp(
      (x, weight, bias) => hiddenLayer(kind as HeadKind, x, weight, bias),
      (x, weight, bias) =>
        rowsOf(x, 5).flatMap((row) => act(rowsOf(weight, 5).map((w, i) => dot(w, row) + bias[i]!))),
      [[4, 5], [outputs, 5], [outputs]],
      { forward: 2e-6 },
    );
  });

  it.each(Object.keys(units))(
    'of several members of %s units gives the mean of their scores',
    async (kind) => {
      const heads = [1, 2, 3].map((seed) => initialHead(5, 4, seed, kind as HeadKind));
      const x = Tensor.from(gpu, randoms(20, 1), [4, 5]);
      const scores = (values: HeadValues) =>
        new RegressionHead(gpu, values, kind as HeadKind).forward(x).read();
      const each = await Promise.all(heads.map(scores));
      const mean = each[0]!.map((_, i) => each.reduce((sum, own) => sum + own[i]!, 0) / 3);
      expect(maxError(await scores(ensembleOf(heads, kind as HeadKind)), mean)).toBeLessThan(1e-6);
    },
  );

  it('whose tensors do not fit its kind is refused', () => {
    const zeros = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)) });
    const values = {
      '1.weight': zeros(3, 5),
      '1.bias': zeros(3),
      '4.weight': zeros(1, 3),
      '4.bias': zeros(1),
    };
    expect(() => new RegressionHead(gpu, values, 'gated')).toThrow(/1.weight is \[3, 5\], expected \[4, 5\]/);
  });
});

describe('degraded versions', () => {
  it('are of one kind an image, each worse than the one before it, the same whatever else is drawn', () => {
    for (const image of [0, 1, 2, 77]) {
      const draws = degradationsOf(image, 3);
      expect(new Set(draws.map(({ name }) => name)).size).toBe(1);
      const severities = draws.map(({ severity }) => severity);
      expect(severities).toEqual([...severities].sort((a, b) => a - b));
      expect(draws).toEqual(degradationsOf(image, 3));
      expect(Math.min(...severities)).toBeGreaterThanOrEqual(-0.25);
      expect(Math.max(...severities)).toBeLessThan(0.85);
    }
    expect(new Set([0, 1, 2].map((image) => degradationsOf(image, 1)[0]!.name)).size).toBe(3);
  });
});

describe('grades', () => {
  it.each([2, 5])('%i of them: boundaries rise, and probabilities are those of the logits', async (count) => {
    const grades = new GradeBoundaries(gpu, count);
    for (const [i, tensor] of [...grades.parameters.values()].entries())
      tensor.write(randoms(tensor.size, 40 + i));
    const constants = new Map(await grades.constants());
    const boundaries = constants.get('grades.boundaries')!.data;
    const slope = constants.get('grades.slope')!.data[0]!;
    expect([...boundaries]).toEqual([...boundaries].sort((a, b) => a - b));
    const scores = [-2, 0, 0.7];
    const logits = await grades.logits(Tensor.from(gpu, scores)).read();
    for (const [i, score] of scores.entries()) {
      const probabilities = gradeProbabilities(score, { slope, boundaries });
      expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      expect(Math.min(...probabilities)).toBeGreaterThan(0);
      const reached = 1 / (1 + Math.exp(-logits[i * (count - 1)]!));
      expect(1 - probabilities[0]!).toBeCloseTo(reached, 5);
    }
    grades.dispose();
  });

  it('stay as probable when scores get their unit back', () => {
    const scaling = new TargetScaling([10, 20, 40]);
    const tensor = (...data: number[]) => ({ shape: [data.length], data: Float32Array.from(data) });
    const learned = new Map([
      ['head.4.weight', tensor(1)],
      ['head.4.bias', tensor(0)],
      ['grades.slope', tensor(2)],
      ['grades.boundaries', tensor(-1, 0.5)],
    ]);
    const of = (constants: ReadonlyMap<string, { data: Float32Array }>) => ({
      slope: constants.get('grades.slope')!.data[0]!,
      boundaries: constants.get('grades.boundaries')!.data,
    });
    const before = gradeProbabilities(0.4, of(learned));
    const after = gradeProbabilities(scaling.restore(0.4), of(scaling.fold(learned)));
    for (const [i, probability] of before.entries()) expect(after[i]).toBeCloseTo(probability, 5);
  });
});
