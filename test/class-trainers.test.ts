import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { silent } from '../src/common/reporter.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { classOf } from '../src/data/datasets/splits.ts';
import { srcc } from '../src/data/metrics/correlation.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { createPrompts } from '../src/training/create-learner.ts';
import { CoopLearner } from '../src/training/learners/coop.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, datasetOptions, defaultSettings, type Settings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('class-trainers');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 64, seed: 3 }));

function settingsOf(out: string, changes: Partial<Settings>): Settings {
  const values = { data: 'scenes', root: images, weights, batchSize: 8, views: 2, nCtx: 4, cache: 'none' };
  return applySettings(defaultSettings(), { ...values, out: join(folder, out), ...changes }, 'test');
}

const train = async (settings: Settings) =>
  trainRun(await sharedGpu(), settings, { resume: false, reporter: silent });
const predictionsOf = (out: string) =>
  readFileSync(join(folder, out, 'predictions.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','))
    .map(([name, mos, prediction]) => ({ name: name!, mos: Number(mos), prediction: Number(prediction) }));

async function scored(out: string, options: Parameters<typeof Scorer.load>[2] = {}): Promise<number[]> {
  const scorer = await Scorer.load(await sharedGpu(), join(folder, out), options);
  const paths = predictionsOf(out).map(({ name }) => join(images, name));
  const scores: number[] = [];
  for await (const result of scorer.score(paths)) if ('score' in result) scores[result.index] = result.score;
  await scorer.close();
  return scores;
}

/** Mean MOS of the training images of each class; undefined for a class without any. */
async function classMeans(settings: Settings) {
  const { samples, split, thresholds } = await openDataset(datasetOptions(settings));
  const mos = Array.from(split.train, (at) => samples[at]!.mos);
  const means = Array.from({ length: 6 }, (_, wanted) => {
    const own = mos.filter((score) => classOf(score, thresholds) === wanted);
    return own.length > 0 ? own.reduce((a, b) => a + b) / own.length : undefined;
  });
  return { means, range: [Math.min(...mos), Math.max(...mos)] as const };
}

describe('coop', () => {
  it('lowers the cross-entropy, reports accuracy, and scores alike from its model file', async () => {
    const settings = settingsOf('coop', { trainer: 'coop', epochs: 12, lr: 0.05 });
    const summary = await train(settings);
    const lines = readFileSync(join(folder, 'coop', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1).loss).toBeLessThan(lines[0].loss);
    expect(lines.at(-1).accuracy).toEqual({ val: null, test: summary.accuracy });
    expect((summary.accuracy! * 6) % 1).toBeCloseTo(0);
    const model = await readCheckpoint(join(folder, 'coop', 'model.safetensors'));
    expect([...model.parameters.keys()]).toEqual(['ctx']);
    const { means, range } = await classMeans(settings);
    for (const [i, center] of model.constants.get('words.scores')!.data.entries())
      if (means[i] !== undefined) expect(center).toBeCloseTo(means[i], 4);
    const rows = predictionsOf('coop');
    for (const [i, score] of (await scored('coop')).entries()) {
      expect(score).toBeCloseTo(rows[i]!.prediction, 4);
      expect(score).toBeGreaterThanOrEqual(range[0]);
      expect(score).toBeLessThanOrEqual(range[1]);
    }
    await expect(scored('coop', { scoreBy: 'antonyms' })).rejects.toThrow(/cannot score by antonyms/);
  });

  it('has the gradient that differences of its loss give', async () => {
    const gpu = await sharedGpu();
    const clip = await loadClip(gpu, weights);
    const prompts = createPrompts(clip.text, await loadTokenizer(), settingsOf('-', { trainer: 'coop' }));
    const learner = new CoopLearner(prompts, new Float32Array(6), clip.logitScale);
    const width = clip.vision.featureWidth;
    const batch = {
      features: Tensor.from(
        gpu,
        Float32Array.from({ length: 4 * width }, (_, i) => Math.sin(i * i)),
        [4, width],
      ),
      mos: Tensor.zeros(gpu, [4]),
      classes: Tensor.from(gpu, Uint32Array.of(0, 5, 2, 3)),
    };
    const { value, gradients } = scope(() =>
      valueAndGradients(() => learner.loss(batch), [...learner.parameters().values()]),
    );
    const gradient = await gradients.get(prompts.ctx)!.read();
    const start = await prompts.ctx.read();
    const norm = Math.hypot(...gradient);
    const lossAt = async (step: number) => {
      prompts.ctx.write(start.map((x, i) => x + (step * gradient[i]!) / norm));
      const loss = scope(() => learner.loss(batch));
      const [result] = await loss.read();
      loss.dispose();
      return result!;
    };
    const step = 2e-3;
    const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    expect(Math.abs(slope / norm - 1)).toBeLessThan(5e-3);
    for (const tensor of [value, ...gradients.values(), ...Object.values(batch)]) tensor.dispose();
    learner.dispose();
    clip.dispose();
  });
});

describe('zero-shot', () => {
  it('reads CLIP by quality words and by antonyms, without training', async () => {
    const settings = settingsOf('zero', { trainer: 'zero-shot' });
    const summary = await train(settings);
    expect(summary.epochs).toBe(0);
    expect(summary.readings!.words!.srcc).toBeCloseTo(summary.test!.overall.srcc, 6);
    const rows = predictionsOf('zero');
    const words = await scored('zero');
    for (const [i, score] of words.entries()) expect(score).toBeCloseTo(rows[i]!.prediction, 4);
    const antonyms = await scored('zero', { scoreBy: 'antonyms' });
    const mos = rows.map((row) => row.mos);
    expect(srcc(antonyms, mos)).toBeCloseTo(summary.readings!.antonyms!.srcc, 6);
    expect(antonyms).not.toEqual(words);
  });

  it('holds the prompts and scores it was asked for', async () => {
    const settings = settingsOf('plain', {
      trainer: 'zero-shot',
      template: '{word} image',
      scoreBy: 'antonyms',
    });
    const summary = await train(settings);
    expect(summary.readings!.antonyms!.rmse).toBeCloseTo(summary.test!.overall.rmse, 6);
    const { constants } = await readCheckpoint(join(folder, 'plain', 'model.safetensors'));
    const clip = await loadClip(await sharedGpu(), weights);
    const tokenizer = await loadTokenizer();
    const texts = {
      words: ['terrible', 'bad', 'poor', 'average', 'good', 'perfect'].map((word) => `${word} image`),
      antonyms: ['Good photo.', 'Bad photo.'],
    };
    for (const [reading, prompts] of Object.entries(texts)) {
      const tokens = tokenizer.tokenize(prompts, clip.text.config.contextLength);
      const features = scope(() => l2Normalize(clip.encodeTokens(tokens)));
      expect(constants.get(`${reading}.text`)!.data).toEqual(await features.read());
      expect(constants.get(`${reading}.logit_scale`)!.data[0]).toBeCloseTo(Math.exp(2.6592), 3);
      features.dispose();
    }
    clip.dispose();
    const { range } = await classMeans(settings);
    expect([...constants.get('antonyms.scores')!.data]).toEqual([
      Math.fround(range[1]),
      Math.fround(range[0]),
    ]);
  });

  it('refuses a template without a place for the word', async () => {
    const settings = settingsOf('bad', { trainer: 'zero-shot', template: 'a photo' });
    await expect(train(settings)).rejects.toThrow(/no placeholder for the quality word/);
  });
});
