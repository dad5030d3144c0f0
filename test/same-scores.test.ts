import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { encodeBatch } from '../src/features/encode-batch.ts';
import { encodeImageRows, encodeTokenRows, type WithClip } from '../src/features/tensor-features.ts';
import type { Clip } from '../src/model/clip.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { weightsPath } from '../src/model/weights/embedded.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The embedded model: large enough for the kernels of small batches to be others.
const folder = temporaryFolder('same-scores');
let scorer: Scorer;
let images: string[];

beforeAll(async () => {
  images = await drawImages(join(folder, 'images'), 33);
  const model = await writeModel(join(folder, 'model.safetensors'), 'embedded');
  scorer = await Scorer.load(await sharedGpu(), model);
});
afterAll(async () => {
  await scorer.close();
});

async function scores(paths: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for await (const result of scorer.score(paths))
    found[result.index] = 'score' in result ? result.score : Number.NaN;
  return found;
}

describe('the score of an image', () => {
  it('has the same bits whatever it is scored with', async () => {
    const all = await scores(images);
    expect(new Set(all).size).toBeGreaterThan(30);
    for (const count of [1, 2, 3, 7, 8]) {
      expect(await scores(images.slice(0, count)), `${count} images`).toEqual(all.slice(0, count));
      expect(await scores(images.slice(-count).reverse())).toEqual(all.slice(-count).reverse());
    }
  });

  it('does not depend on images that cannot be read', async () => {
    const all = await scores(images.slice(0, 6));
    const gaps = await scores(['nowhere.png', ...images.slice(0, 3), 'nowhere.png', ...images.slice(3, 6)]);
    expect(gaps.filter((score) => !Number.isNaN(score))).toEqual(all);
  });
});

describe('features of texts and of ready images', () => {
  let clip: Clip;
  const run: WithClip = (work) => work(clip);
  beforeAll(async () => {
    clip = await loadClip(await sharedGpu(), weightsPath('embedded'));
  });
  afterAll(() => clip.dispose());

  it('are the same whatever other texts are encoded', async () => {
    const { contextLength } = clip.text.config;
    const long = Array(contextLength - 10)
      .fill('photo')
      .join(' ');
    const texts = [
      'a cat',
      long,
      'two dogs in the snow',
      'a',
      'a photo of a very good quality, sharp and bright',
    ];
    const tokens = (await loadTokenizer()).tokenize(texts, contextLength);
    const all = await encodeTokenRows(tokens, contextLength, run);
    expect(all.map(({ length }) => length)).toEqual(Array(5).fill(clip.text.config.outputWidth));
    for (const [i] of texts.entries()) {
      const alone = await encodeTokenRows(
        tokens.slice(i * contextLength, (i + 1) * contextLength),
        contextLength,
        run,
      );
      expect(alone).toEqual([all[i]]);
    }
    const usual = clip.encodeTokens(tokens);
    const data = all.flatMap((feature) => [...feature]);
    for (const [i, value] of (await usual.read()).entries()) expect(data[i]).toBeCloseTo(value, 4);
    usual.dispose();
  });

  it('are the same whatever other images are encoded', async () => {
    const { imageSize } = clip.config.vision;
    const size = 3 * imageSize ** 2;
    const images = Float32Array.from(randoms(5 * size, 7));
    const all = await encodeImageRows(images, imageSize, encodeBatch, run);
    expect(all).toHaveLength(5);
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [2, 5],
    ] as const) {
      const part = await encodeImageRows(images.slice(from * size, to * size), imageSize, encodeBatch, run);
      expect(part).toEqual(all.slice(from, to));
    }
  });
});
