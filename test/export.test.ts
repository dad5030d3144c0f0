import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { prepareImage } from '../src/data/images/prepare.ts';
import { type ExportOptions, exportOnnx } from '../src/export/export-onnx.ts';
import { modelCard } from '../src/export/model-card.ts';
import { cropTransforms } from '../src/features/crops.ts';
import { cropsOf } from '../src/features/feature-extractor.ts';
import { weightsPath } from '../src/model/weights/embedded.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readScoringConstants } from '../src/scoring/scoring-constants.ts';
import { readModel } from '../src/scoring/trained-model.ts';
import { trainRun } from '../src/training/run.ts';
import { applySettings, clipOptions, defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('export');
const scenes = join(folder, 'scenes');
const tiny = resolve('test/fixtures/tiny-clip.json');
let images: string[];

beforeAll(async () => {
  // Larger than the tiny model's images, so that native crops are parts of them.
  await makeScenes(scenes, { scenes: 10, versions: 2, size: 80, seed: 3 });
  const all = readdirSync(scenes, { recursive: true, encoding: 'utf8' });
  images = all.filter((name) => name.endsWith('.png')).map((name) => join(scenes, name));
  expect(images.length).toBe(20);
});

/** Trains a model of this kind, and gives its folder. */
async function train(name: string, changes: Record<string, unknown>): Promise<string> {
  const out = join(folder, name);
  const values = {
    data: 'scenes',
    root: scenes,
    weights: tiny,
    epochs: 3,
    batchSize: 8,
    views: 1,
    nCtx: 4,
    lr: 0.01,
  };
  const settings = applySettings(defaultSettings(), { ...values, cache: 'none', out, ...changes }, 'test');
  await trainRun(await sharedGpu(), settings, { resume: false, reporter: silent });
  return out;
}

/** Exports the model of a run and opens it in onnxruntime. */
async function exported(run: string, options: ExportOptions) {
  const path = join(folder, 'model.onnx');
  const { settings, constants } = await readModel(run);
  const named = weightsPath(settings.weights);
  const weights = await openClipWeights(named, clipOptions(settings));
  try {
    const scoring = readScoringConstants(constants, settings, run);
    const bytes = await exportOnnx(
      { settings, weights, scoring, version: '0', ...modelCard(settings, named) },
      path,
      options,
    );
    const file = readFileSync(path);
    expect(file.length).toBe(bytes);
    const { vision } = weights.config;
    const session = await ort.InferenceSession.create(file);
    return { file, vision, crops: cropsOf(settings), session };
  } finally {
    await weights.close();
  }
}

/** The images as bytes of the model's size, one behind the other, and so their native crops. */
async function prepared(size: number, crops: number) {
  const one = size * size * 3;
  const bytes = {
    images: new Uint8Array(images.length * one),
    crops: new Uint8Array(images.length * crops * one),
  };
  for (const [i, path] of images.entries())
    for (const [k, transform] of cropTransforms(crops).entries()) {
      const image = await prepareImage({ path, size, transform });
      if ('error' in image) throw new Error(image.error);
      if (k === 0) bytes.images.set(image.pixels, i * one);
      else bytes.crops.set(image.pixels, (i * crops + k - 1) * one);
    }
  return bytes;
}

/** All images as a model with the input uint8 takes them. */
async function byteInputs(size: number, crops: number): Promise<Record<string, ort.Tensor>> {
  const bytes = await prepared(size, crops);
  const images8 = new ort.Tensor('uint8', bytes.images, [images.length, size, size, 3]);
  if (crops === 0) return { images: images8 };
  return {
    images: images8,
    crops: new ort.Tensor('uint8', bytes.crops, [images.length, crops, size, size, 3]),
  };
}

async function ours(run: string): Promise<number[]> {
  const scorer = await Scorer.load(await sharedGpu(), run);
  const scores: number[] = [];
  for await (const result of scorer.score(images)) scores.push('score' in result ? result.score : Number.NaN);
  await scorer.close();
  return scores;
}

/** What is exported: a model trained with these settings, or one that is there. */
const kinds: [string, Record<string, unknown> | string][] = [
  ['clip-agiqa', { trainer: 'clip-agiqa' }],
  [
    'image-only on pooled blocks',
    { trainer: 'image-only', layers: '1,2', pool: 'stats', scaling: 'standard' },
  ],
  [
    'clip-agiqa-plus',
    {
      trainer: 'clip-agiqa-plus',
      layers: '1',
      pool: 'stats',
      scaling: 'standard',
      featureLength: true,
      head: 'gated',
      loss: '0.3*mse+plcc',
    },
  ],
  ['zero-shot', { trainer: 'zero-shot' }],
  [
    'image-only with native crops',
    { trainer: 'image-only', layers: '2', pool: 'stats', scaling: 'standard', augment: 'none', crops: 3 },
  ],
  ['quality that is embedded', 'embedded'],
  ['clip-agiqa on the embedded model', { trainer: 'clip-agiqa', weights: 'embedded', epochs: 1 }],
];

describe.each(kinds)('a model of %s, exported', (name, changes) => {
  let run: string;
  let expected: number[];
  beforeAll(async () => {
    run = typeof changes === 'string' ? changes : await train(name.replaceAll(' ', '-'), changes);
    expected = await ours(run);
  });

  it('gives our scores to 1e-4 in onnxruntime, from bytes and from normalized images, in batches of any size', async () => {
    const { session, vision, crops } = await exported(run, { input: 'uint8', dtype: 'float32' });
    const { imageSize: size, mean, std } = vision;
    const all = await session.run(await byteInputs(size, crops));
    const scores = [...(all.score!.data as Float32Array)];
    expect(Math.max(...scores.map((score, i) => Math.abs(score - expected[i]!)))).toBeLessThan(1e-4);
    // The scores differ from image to image, or agreeing would say little.
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(1e-3);
    await session.release();

    const other = await exported(run, { input: 'normalized', dtype: 'float32' });
    const bytes = await prepared(size, crops);
    const plane = size * size;
    const normalized = (from: Uint8Array, count: number) =>
      Float32Array.from({ length: count * 3 * plane }, (_, i) => {
        const channel = Math.floor((i / plane) % 3) as 0 | 1 | 2;
        const image = Math.floor(i / plane / 3);
        return (from[(image * plane + (i % plane)) * 3 + channel]! / 255 - mean[channel]) / std[channel];
      });
    const first = { images: new ort.Tensor('float32', normalized(bytes.images, 1), [1, 3, size, size]) };
    const natives = new ort.Tensor('float32', normalized(bytes.crops, crops), [1, crops, 3, size, size]);
    const single = await other.session.run(crops > 0 ? { ...first, crops: natives } : first);
    expect(Math.abs((single.score!.data as Float32Array)[0]! - expected[0]!)).toBeLessThan(1e-4);
    await other.session.release();
  });

  it('is half the size in halves, and close to it', async () => {
    const full = await exported(run, { input: 'uint8', dtype: 'float32' });
    await full.session.release();
    const { session, vision, crops, file } = await exported(run, { input: 'uint8', dtype: 'float16' });
    const result = await session.run(await byteInputs(vision.imageSize, crops));
    const scores = [...(result.score!.data as Float32Array)];
    const spread = Math.max(...expected) - Math.min(...expected);
    expect(Math.max(...scores.map((score, i) => Math.abs(score - expected[i]!)))).toBeLessThan(
      Math.max(0.05 * spread, 0.01),
    );
    expect(file.length).toBeLessThan(full.file.length);
    await session.release();
  });
});

it('a model says what it is and what it takes, and no path of this machine', async () => {
  const { file, session } = await exported(join(folder, 'zero-shot'), {
    input: 'normalized',
    dtype: 'float32',
  });
  await session.release();
  const text = file.toString('latin1');
  for (const fact of [
    'image_size',
    'mean',
    'std',
    'preprocessing',
    'arXiv 2408.15098',
    'tiny-clip.json',
    'zero-shot',
  ])
    expect(text).toContain(fact);
  expect(text).not.toContain(folder);
  expect(text).not.toContain(resolve('test'));
});

it('a model that reads native crops says how to make them', async () => {
  const { file, session } = await exported('embedded', { input: 'uint8', dtype: 'float16' });
  expect(session.inputNames).toEqual(['images', 'crops']);
  await session.release();
  const text = file.toString('latin1');
  expect(text).toContain('0.5,0.5 0,0');
  expect(text).toContain('side = min(224, width, height) pixels of the original image');
});

it('a head is refused where a tensor is missing, or its statistics or shapes do not fit', () => {
  const tensor = (...shape: number[]) => ({
    shape,
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  const head = {
    'head.1.weight': tensor(3, 4),
    'head.1.bias': tensor(3),
    'head.4.weight': tensor(1, 3),
    'head.4.bias': tensor(1),
  };
  const statistics = { 'features.mean': tensor(4), 'features.std': tensor(4) };
  const read = (changes: Record<string, ReturnType<typeof tensor> | undefined>) => () =>
    readScoringConstants(
      new Map(
        Object.entries({ ...head, ...statistics, ...changes }).flatMap(([k, v]) => (v ? [[k, v]] : [])),
      ),
      { scoreBy: 'words', head: 'relu' },
      'm',
    );
  expect(read({})()).toMatchObject({ kind: 'head', statistics: { std: new Float32Array(4) } });
  expect(read({ 'head.4.bias': undefined })).toThrow('m holds no scoring head');
  expect(read({ 'head.1.bias': tensor(4) })).toThrow('m: head tensor 1.bias is [4], expected [3]');
  expect(read({ 'features.std': tensor(5) })).toThrow(
    'the std of the features has width 5, but the head takes 4',
  );
});

it('a reading that a model does not have is refused by name', async () => {
  const { constants } = await readModel(join(folder, 'zero-shot'));
  const only = new Map([...constants].filter(([name]) => name.startsWith('words.')));
  expect(() =>
    readScoringConstants(only, { scoreBy: 'antonyms', head: 'relu' }, 'model.safetensors'),
  ).toThrow(/cannot score by antonyms/);
});
