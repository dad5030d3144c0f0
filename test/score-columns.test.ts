import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { prepareImage } from '../src/data/images/prepare.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import type { Clip } from '../src/model/clip.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { weightsPath } from '../src/model/weights/embedded.ts';
import { parsePair } from '../src/scoring/antonyms.ts';
import { promptColumn, type ScoredImage, type ScoreOptions, Scorer } from '../src/scoring/scorer.ts';
import { templatePrompts } from '../src/training/create-learner.ts';
import { sharedGpu } from './gpu.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'score-columns-'));
const gpu = await sharedGpu();
const long = Array(200).fill('very').join(' ');
const prompts = ['a cat', 'a painting of the sea at night', undefined, long, 'a cat'];
let images: string[];
let clip: Clip;

beforeAll(async () => {
  images = await drawImages(join(folder, 'images'), 5);
  clip = await loadClip(gpu, weightsPath('embedded'));
});
afterAll(() => {
  clip.dispose();
  rmSync(folder, { recursive: true });
});

async function all(scorer: Scorer, paths: readonly string[], options: ScoreOptions = {}) {
  const results: ScoredImage[] = [];
  for await (const result of scorer.score(paths, options)) results.push(result);
  return results;
}

const columnsOf = (result: ScoredImage) => ('score' in result ? result.columns : undefined);

const unit = (values: Float32Array) => {
  const length = Math.hypot(...values);
  return [...values].map((value) => value / length);
};
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** The image's and the texts' features, of unit length, as CLIP itself gives them one by one. */
async function imageFeature(path: string): Promise<number[]> {
  const { vision } = clip;
  const image = await prepareImage({ path, size: vision.config.imageSize, transform: { kind: 'test' } });
  if ('error' in image) throw new Error(image.error);
  const words = new Uint32Array(image.pixels.buffer, image.pixels.byteOffset, image.pixels.length / 4);
  const pixels = Tensor.from(gpu, words, [1, words.length]);
  return unit(await vision.features(vision.patchesFromBytes(pixels)).read());
}
async function textFeature(text: string): Promise<number[]> {
  const tokenizer = await loadTokenizer();
  return unit(await clip.encodeTokens(tokenizer.tokenize([text], 77, { truncate: true })).read());
}
const probability = async (path: string, positive: string, negative: string) => {
  const image = await imageFeature(path);
  const logits = [dot(image, await textFeature(positive)), dot(image, await textFeature(negative))];
  const [good, bad] = logits.map((cosine) => Math.exp(clip.logitScale * cosine));
  return good! / (good! + bad!);
};

describe.each([
  ['the projected feature', {}],
  ['pooled blocks', { layers: '1,3', pool: 'stats' }],
] as const)('a model on %s', (kind, settings) => {
  let scorer: Scorer;
  beforeAll(async () => {
    const model = await writeModel(join(folder, `${kind}.safetensors`), 'embedded', undefined, settings);
    const pairs = ['sharp|blurry', 'a fine photo of a dog|nothing at all'].map(parsePair);
    scorer = await Scorer.load(gpu, model, { pairs });
  });
  afterAll(() => scorer.close());

  it('gives each pair the softmax of its two texts, a word standing in the template', async () => {
    for (const result of await all(scorer, images.slice(0, 2))) {
      const columns = columnsOf(result)!;
      expect(Object.keys(columns)).toEqual(['sharp|blurry', 'a fine photo of a dog|nothing at all']);
      const { path } = result;
      expect(columns['sharp|blurry']).toBeCloseTo(
        await probability(path, 'sharp photo.', 'blurry photo.'),
        4,
      );
      expect(columns['a fine photo of a dog|nothing at all']).toBeCloseTo(
        await probability(path, 'a fine photo of a dog', 'nothing at all'),
        4,
      );
    }
  });

  it('gives each image the cosine with its own prompt, whatever it is scored with', async () => {
    const results = await all(scorer, images, { prompts });
    for (const [i, prompt] of prompts.entries()) {
      const found = columnsOf(results[i]!)![promptColumn];
      if (prompt === undefined) expect(found).toBeUndefined();
      else expect(found).toBeCloseTo(dot(await imageFeature(images[i]!), await textFeature(prompt)), 5);
      const alone = await all(scorer, [images[i]!], { prompts: [prompt] });
      expect({ ...alone[0], index: i }).toEqual(results[i]);
    }
    const reversed = await all(scorer, images.toReversed(), { prompts: prompts.toReversed() });
    expect(reversed.toReversed().map(columnsOf)).toEqual(results.map(columnsOf));
  });

  it('scores the same with columns as without', async () => {
    const plain = await Scorer.load(gpu, join(folder, `${kind}.safetensors`));
    const scores = (results: readonly ScoredImage[]) => results.map((r) => ('score' in r ? r.score : NaN));
    const [bare, beside] = [await all(plain, images), await all(scorer, images, { prompts })];
    expect(scores(bare)).toEqual(scores(beside));
    expect(bare.every((result) => columnsOf(result) === undefined)).toBe(true);
    await plain.close();
  });
});

describe('zero-shot', () => {
  it('is the probability of good against bad, without a training run', async () => {
    const scorer = await Scorer.zeroShot(gpu);
    for (const result of await all(scorer, images.slice(0, 2))) {
      const expected = await probability(result.path, 'Good photo.', 'Bad photo.');
      expect('score' in result && result.score).toBeCloseTo(expected, 4);
    }
    await scorer.close();
  });

  it('by words is their expected value, from 0 for terrible to 1 for perfect', async () => {
    const scorer = await Scorer.zeroShot(gpu, 'embedded', { scoreBy: 'words' });
    const texts = await Promise.all(templatePrompts('a photo of {word} quality.').map(textFeature));
    for (const result of await all(scorer, images.slice(0, 2))) {
      const image = await imageFeature(result.path);
      const weights = texts.map((text) => Math.exp(clip.logitScale * dot(image, text)));
      const sum = weights.reduce((a, b) => a + b);
      const expected = weights.reduce((total, weight, i) => total + (weight / sum) * (i / 5), 0);
      expect('score' in result && result.score).toBeCloseTo(expected, 4);
    }
    await scorer.close();
  });

  it('needs a text tower', async () => {
    await expect(Scorer.zeroShot(gpu, 'test/fixtures/timm/model.safetensors')).rejects.toThrow(
      /these weights have no text tower/,
    );
  });
});

describe('a pair', () => {
  it.each(['sharp', 'sharp|', '|blurry', 'a|b|c', ''])('is two texts: %j is refused', (text) => {
    expect(() => parsePair(text)).toThrow(/--pairs takes two texts with \| between them/);
  });

  it('is given once', async () => {
    const pairs = [parsePair('a|b'), parsePair(' a | b ')];
    await expect(Scorer.zeroShot(gpu, 'embedded', { pairs })).rejects.toThrow(
      /the pair a\|b was given twice/,
    );
  });
});
