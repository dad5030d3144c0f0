import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ClipEncoder,
  cosine,
  type EncodedInput,
  type ImageInputs,
  loadClip,
  loadTokenizer,
  preprocess,
  Tensor,
  toNormalizedCHW,
} from '../src/index.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { sharedGpu } from './gpu.ts';
import { drawImages } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('clip-encoder');
let gpu: Gpu;
let encoder: ClipEncoder;
let images: string[];
let features: Float32Array[];

beforeAll(async () => {
  gpu = await sharedGpu();
  images = await drawImages(join(folder, 'images'), 5);
  encoder = await ClipEncoder.load(gpu);
  features = (await all(encoder, images)).map(featureOf);
});
afterAll(() => encoder.close());

async function all(by: ClipEncoder, inputs: ImageInputs, options = {}): Promise<EncodedInput[]> {
  const results: EncodedInput[] = [];
  for await (const result of by.encodeImages(inputs, options)) results.push(result);
  return results;
}
const featureOf = (result: EncodedInput) => ('feature' in result ? result.feature : new Float32Array());
const lengthOf = (vector: Float32Array) => Math.hypot(...vector);

it('images have the features of the model, in a file or not', async () => {
  expect(features.map(({ length }) => length)).toEqual(images.map(() => encoder.width));
  const bytes = await Promise.all(images.map((path) => readFile(path)));
  expect((await all(encoder, bytes)).map(featureOf)).toEqual(features);
  const clip = await loadClip(gpu, 'embedded', { text: false });
  const { imageSize, mean, std } = clip.config.vision;
  const pixels = await preprocess(images[1]!, { size: imageSize });
  const normalized = toNormalizedCHW(pixels, imageSize, mean, std);
  const expected = clip.encodeImages(Tensor.from(gpu, normalized, [1, 3, imageSize, imageSize]));
  const values = await expected.read();
  expected.dispose();
  clip.dispose();
  for (const [i, value] of values.entries()) expect(features[1]![i]).toBeCloseTo(value, 4);
  expect(cosine(features[0]!, features[1]!)).toBeLessThan(0.9999);
});

it('texts have the features of the model, beside others or alone', async () => {
  const texts = ['a good photo', 'a bad photo'];
  const encoded = await encoder.encodeTexts(texts);
  expect(await encoder.encodeTexts([texts[1]!])).toEqual([encoded[1]]);
  const clip = await loadClip(gpu, 'embedded', { vision: false });
  expect(encoder.logitScale).toBe(clip.logitScale);
  const tokens = (await loadTokenizer()).tokenize(texts, clip.text.config.contextLength);
  const expected = clip.encodeTokens(tokens);
  const values = await expected.read();
  expected.dispose();
  clip.dispose();
  for (const [i, value] of values.entries())
    expect(encoded[Math.floor(i / encoder.width)]![i % encoder.width]).toBeCloseTo(value, 4);
  await expect(encoder.encodeTexts(['word '.repeat(200)])).rejects.toMatchObject({ name: 'UserError' });
  expect(await encoder.encodeTexts(['word '.repeat(200)], { truncate: true })).toHaveLength(1);
  await expect(encoder.encodeTexts('a cat' as never)).rejects.toThrow(/array of strings/);
});

it('preprocessed images and rows of tokens have the features of what they come from', async () => {
  const { imageSize, mean, std } = encoder.config.vision;
  const { contextLength, vocabSize } = encoder.config.text!;
  const of = async (path: string) =>
    toNormalizedCHW(await preprocess(path, { size: imageSize }), imageSize, mean, std);
  const two = Float32Array.from((await Promise.all(images.slice(0, 2).map(of))).flatMap((one) => [...one]));
  const [first, second, ...rest] = await encoder.encodePreprocessed(two);
  expect(rest).toEqual([]);
  for (const [i, value] of first!.entries()) expect(value).toBeCloseTo(features[0]![i]!, 4);
  expect(await encoder.encodePreprocessed(two.subarray(two.length / 2))).toEqual([second]);
  for (const wrong of [new Float32Array(), two.subarray(1)])
    await expect(encoder.encodePreprocessed(wrong)).rejects.toThrow(
      `no images [n, 3, ${imageSize}, ${imageSize}]`,
    );

  const texts = ['a good photo', 'two dogs'];
  const tokens = (await loadTokenizer()).tokenize(texts, contextLength);
  expect(await encoder.encodeTokens(tokens)).toEqual(await encoder.encodeTexts(texts));
  await expect(encoder.encodeTokens(tokens.subarray(1))).rejects.toThrow(
    'not a multiple of the context length',
  );
  await expect(encoder.encodeTokens(tokens.fill(vocabSize))).rejects.toThrow('not in the vocabulary');
});

it('features are of unit length where asked to, and a cosine does not mind', async () => {
  const [image] = (await all(encoder, [images[0]!], { normalize: true })).map(featureOf);
  const [text] = await encoder.encodeTexts(['a photo'], { normalize: true });
  const [rawText] = await encoder.encodeTexts(['a photo']);
  for (const vector of [image!, text!]) expect(lengthOf(vector)).toBeCloseTo(1, 5);
  expect(lengthOf(features[0]!)).not.toBeCloseTo(1, 2);
  expect(cosine(features[0]!, rawText!)).toBeCloseTo(cosine(image!, text!), 6);
  expect(cosine(Float32Array.of(3, 4), Float32Array.of(8, 6))).toBeCloseTo(0.96, 12);
  expect(cosine(image!, image!)).toBeCloseTo(1, 6);
  expect(() => cosine(image!, text!.subarray(1))).toThrow(/cannot be compared/);
});

it('a cache changes neither features nor their order', async () => {
  const cache = join(folder, 'cache');
  const broken = join(folder, 'broken.png');
  await writeFile(broken, 'no image');
  const first = await ClipEncoder.load(gpu, 'embedded', { text: false, cache });
  await all(first, [images[1]!, images[4]!]);
  await expect(first.encodeTexts(['a'])).rejects.toThrow(/no text tower/);
  await first.close();
  const second = await ClipEncoder.load(gpu, 'embedded', { text: false, cache });
  const inputs = [images[0]!, images[1]!, broken, await readFile(images[4]!), images[2]!, images[1]!];
  const results = await all(second, inputs);
  await second.close();
  expect(results.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(results.map(({ path }) => path)).toEqual(
    inputs.map((input) => (typeof input === 'string' ? input : 'image 4')),
  );
  expect(results[2]).toMatchObject({ error: expect.stringMatching(/broken\.png: not a readable image/) });
  expect(results.map(featureOf)).toEqual([
    features[0],
    features[1],
    new Float32Array(),
    features[4],
    features[2],
    features[1],
  ]);
});
