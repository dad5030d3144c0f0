import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { l2Normalize } from '../src/autograd/ops/normalize.ts';
import { scope } from '../src/autograd/scope.ts';
import { UserError } from '../src/common/errors.ts';
import { silent } from '../src/common/reporter.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { classOf } from '../src/data/datasets/splits.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { qualityWords } from '../src/model/agiqa.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { contextWords } from '../src/scoring/learned-context.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { runFolder } from '../src/training/default-folder.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, datasetOptions, defaultSettings, type Settings } from '../src/training/settings.ts';
import { wordsOf } from '../src/training/words.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('own-words');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 64, seed: 3 }));

function settingsOf(out: string, changes: Partial<Settings>): Settings {
  const values = { data: 'scenes', root: images, weights, batchSize: 8, views: 1, nCtx: 3, cache: 'none' };
  return applySettings(defaultSettings(), { ...values, out: join(folder, out), ...changes }, 'test');
}
const train = async (settings: Settings) =>
  trainRun(await sharedGpu(), settings, { resume: false, reporter: silent });
const model = (out: string) => readCheckpoint(join(folder, out, 'model.safetensors'));

/** The run's own predictions, and those that its model file gives. */
async function predictions(out: string): Promise<[number, number][]> {
  const rows = readFileSync(join(folder, out, 'predictions.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  const scorer = await Scorer.load(await sharedGpu(), join(folder, out));
  const pairs: [number, number][] = [];
  for await (const result of scorer.score(rows.map((row) => join(images, row.split(',')[0]!))))
    if ('score' in result) pairs.push([Number(rows[result.index]!.split(',')[2]), result.score]);
  await scorer.close();
  return pairs;
}

describe('wordsOf', () => {
  it('are those of CLIP-AGIQA unless others are given', () => {
    expect(wordsOf({ words: '' })).toBe(qualityWords);
    expect(wordsOf({ words: ' awful, so so ,fine' })).toEqual(['awful', 'so so', 'fine']);
    for (const words of ['good', 'good,', 'a,b,a', ',']) expect(() => wordsOf({ words })).toThrow(UserError);
  });

  it('make another run, and part the scores into as many classes of equal size', async () => {
    const { out: _, ...settings } = settingsOf('-', { words: 'bad,fine,good' });
    expect(runFolder({ ...settings, out: '' })).not.toBe(runFolder({ ...settings, words: '', out: '' }));
    const { samples, split, thresholds } = await openDataset(datasetOptions({ ...settings, out: '' }));
    expect(thresholds).toHaveLength(2);
    const counts = [0, 0, 0];
    for (const at of split.train) counts[classOf(samples[at]!.mos, thresholds)]!++;
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
    // Published bounds are of six classes, whatever their names.
    const root = fileURLToPath(new URL('./fixtures/datasets/agiqa-3k', import.meta.url));
    const six = { ...settings, out: '', data: 'agiqa-3k', root, words: 'a,b,c,d,e,f' };
    expect((await openDataset(datasetOptions(six))).thresholds[0]).toBe(1.231);
  });
});

describe('own words', () => {
  it('are read by CLIP-AGIQA, whose head takes as many features, and the model scores alike', async () => {
    await train(settingsOf('agiqa', { words: 'ugly,plain,very pretty', epochs: 2 }));
    const { words, parameters, settings } = await model('agiqa');
    expect(words).toEqual(['ugly', 'plain', 'very pretty']);
    expect(settings.words).toBe('ugly,plain,very pretty');
    const clip = await loadClip(await sharedGpu(), weights);
    expect(parameters.get('head.1.weight')!.shape[1]).toBe(4 * clip.text.config.outputWidth);
    clip.dispose();
    for (const [mine, theirs] of await predictions('agiqa')) expect(theirs).toBeCloseTo(mine, 4);
  });

  it('have contexts of their own, told apart by name', async () => {
    await train(settingsOf('coop', { trainer: 'coop', words: 'no,yes', classSpecific: true, epochs: 2 }));
    const { parameters, constants } = await model('coop');
    expect(parameters.get('ctx')!.shape.slice(0, 2)).toEqual([2, 3]);
    expect(constants.get('words.scores')!.shape).toEqual([2]);
    const { contexts } = await contextWords(join(folder, 'coop'), { top: 1 });
    expect(contexts.map(({ word }) => word)).toEqual(['no', 'yes']);
    for (const [mine, theirs] of await predictions('coop')) expect(theirs).toBeCloseTo(mine, 4);
  });

  it('stand in the prompts of the zero-shot model', async () => {
    const settings = settingsOf('zero', {
      trainer: 'zero-shot',
      words: 'dull,vivid',
      template: 'a {word} one',
    });
    await train(settings);
    const { constants, words } = await model('zero');
    expect(words).toEqual(['dull', 'vivid']);
    const clip = await loadClip(await sharedGpu(), weights);
    const tokens = (await loadTokenizer()).tokenize(
      ['a dull one', 'a vivid one'],
      clip.text.config.contextLength,
    );
    const features = scope(() => l2Normalize(clip.encodeTokens(tokens)));
    expect(constants.get('words.text')!.data).toEqual(await features.read());
    const [low, high] = constants.get('words.scores')!.data;
    expect(low).toBeLessThan(high!);
    features.dispose();
    clip.dispose();
  });
});
