import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { scale } from '../src/autograd/ops/arithmetic.ts';
import { scope } from '../src/autograd/scope.ts';
import type { ImageJob } from '../src/data/images/loader.ts';
import { FeatureCache } from '../src/features/feature-cache.ts';
import { featureExtractor } from '../src/features/feature-extractor.ts';
import { type FeatureExtractor, ImageEncoder } from '../src/features/image-encoder.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { type Measurement, tuned } from '../src/kernels/device/tuning.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import type { Clip, ClipOptions } from '../src/model/clip.ts';
import { loadClip } from '../src/model/load-clip.ts';
import type { VisionTransformer } from '../src/model/vit.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { sharedGpu } from './gpu.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const weights = resolve('test/fixtures/tiny-clip.json');
const folder = temporaryFolder('image-features');
const feature = { trainer: 'image-only', layers: '', pool: 'cls', weightType: 'float32' } as const;
const clips: Clip[] = [];
let gpu: Gpu;
let images: string[];

beforeAll(async () => {
  gpu = await sharedGpu();
  images = await drawImages(join(folder, 'images'), 6);
});
afterAll(() => {
  for (const clip of clips) clip.dispose();
});
let caches = 0;
const newCache = () => join(folder, `cache-${caches++}`);

async function visionOf(options: ClipOptions = {}): Promise<VisionTransformer> {
  const clip = await loadClip(gpu, weights, { ...options, text: false });
  clips.push(clip);
  return clip.vision;
}

/** The features of all images, and how many were computed. */
async function featuresOf(
  vision: VisionTransformer,
  encoder: FeatureExtractor,
  cache: FeatureCache | null,
  { batch = 4, paths = images }: { batch?: number; paths?: readonly string[] } = {},
): Promise<{ features: Float32Array[]; encoded: number }> {
  const all = new ImageEncoder(gpu, vision, encoder, { batch, cache });
  const features: Float32Array[] = [];
  const jobs = paths.map(
    (path): ImageJob => ({ path, size: vision.config.imageSize, transform: { kind: 'test' } }),
  );
  try {
    let next = 0;
    for await (const result of all.encode(jobs)) {
      expect(result.index).toBe(next++);
      if ('feature' in result) features[result.index] = result.feature;
    }
    expect(next).toBe(jobs.length);
    return { features, encoded: all.counters.encoded };
  } finally {
    await all.close();
  }
}

const open = (path: string, width: number) => FeatureCache.open(path, { width });

describe('a cached feature', () => {
  it('is of the same activation: what another filled the cache with is not taken', async () => {
    const cache = newCache();
    const run = async (activation: 'quick_gelu' | 'gelu', path: string | null) => {
      const vision = await visionOf({ activation });
      const encoder = featureExtractor(vision, 'weights', feature);
      return featuresOf(vision, encoder, path === null ? null : await open(path, encoder.width));
    };
    const quick = await run('quick_gelu', cache);
    expect(quick.encoded).toBe(6);
    const exact = await run('gelu', cache);
    expect(exact.encoded).toBe(6);
    expect(exact.features).toEqual((await run('gelu', null)).features);
    expect(exact.features).not.toEqual(quick.features);
    for (const [activation, expected] of [
      ['quick_gelu', quick],
      ['gelu', exact],
    ] as const)
      expect(await run(activation, cache)).toEqual({ features: expected.features, encoded: 0 });
  });

  it('is named by all that it depends on', async () => {
    const vision = await visionOf();
    const { config } = vision;
    const named = (change: object, settings: object = {}, id = 'weights') =>
      featureExtractor(Object.assign(Object.create(vision), { config: { ...config, ...change } }), id, {
        ...feature,
        ...settings,
      }).id;
    const ids = [
      named({}),
      named({}, {}, 'others'),
      named({ activation: 'gelu' }),
      named({ layerNormEps: 1e-6 }),
      named({ heads: config.heads * 2 }),
      named({ mean: [0.5, 0.5, 0.5] }),
      named({ std: [0.5, 0.5, 0.5] }),
      named({ imageSize: 2 * config.imageSize }),
      named({}, { weightType: 'float16' }),
      named({}, { layers: '1' }),
      named({}, { pool: 'mean' }),
      named({}, { pool: 'stats' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(named({})).toBe(ids[0]);
  });

  it('is of the same batch, crop, adapter and kernels', async () => {
    const vision = await visionOf();
    const encoder = featureExtractor(vision, 'weights', feature);
    const cache = newCache();
    const encoded = async (batch: number) =>
      (await featuresOf(vision, encoder, await open(cache, encoder.width), { batch })).encoded;
    expect(await encoded(4)).toBe(6);
    expect(await encoded(4)).toBe(0);
    expect(await encoded(3)).toBe(6);
    const all = new ImageEncoder(gpu, vision, encoder, {
      batch: 4,
      cache: await open(cache, encoder.width),
    });
    const encode = async (transform: ImageJob['transform']) => {
      const job = { path: images[0]!, size: vision.config.imageSize, transform };
      for await (const _ of all.encode([job]));
      return { ...all.counters, waited: 0 };
    };
    const crop = { kind: 'crop', seed: 1, epoch: 0, index: 0 } as const;
    expect(await encode({ kind: 'test' })).toEqual({ encoded: 0, cached: 1, waited: 0 });
    expect(await encode(crop)).toEqual({ encoded: 1, cached: 1, waited: 0 });
    expect(await encode({ ...crop, index: 1 })).toEqual({ encoded: 2, cached: 1, waited: 0 });
    expect(await encode(crop)).toEqual({ encoded: 2, cached: 2, waited: 0 });
    const other = vi.spyOn(gpu, 'adapter', 'get').mockReturnValue({ ...gpu.adapter, driver: 'another' });
    try {
      expect(await encode(crop)).toEqual({ encoded: 3, cached: 2, waited: 0 });
    } finally {
      other.mockRestore();
    }
    const measured = tuned(gpu) as Map<string, Measurement>;
    measured.set('matmul/0/a shape', { variant: 'naive', times: {} });
    expect(await encode(crop)).toEqual({ encoded: 4, cached: 2, waited: 0 });
    measured.delete('matmul/0/a shape');
    expect(await encode(crop)).toEqual({ encoded: 4, cached: 3, waited: 0 });
    await all.close();
  });

  it('is of the same degradation of the image, and of the same native crop', async () => {
    const vision = await visionOf();
    const encoder = featureExtractor(vision, 'weights', feature);
    const all = new ImageEncoder(gpu, vision, encoder, {
      batch: 4,
      cache: await open(newCache(), encoder.width),
    });
    const jobs: readonly Pick<ImageJob, 'transform' | 'degradation'>[] = [
      { transform: { kind: 'test' } },
      { transform: { kind: 'native', x: 0.5, y: 0.5 } },
      { transform: { kind: 'native', x: 0, y: 0.5 } },
      ...[
        { name: 'blur', severity: 0.5, seed: 1 },
        { name: 'blur', severity: 0.6, seed: 1 },
        { name: 'noise', severity: 0.5, seed: 1 },
        { name: 'noise', severity: 0.5, seed: 2 },
      ].map((degradation) => ({ transform: { kind: 'test' } as const, degradation })),
    ];
    for (const job of jobs)
      for await (const _ of all.encode([{ ...job, path: images[0]!, size: vision.config.imageSize }]));
    expect(all.counters).toMatchObject({ encoded: jobs.length, cached: 0 });
    for await (const _ of all.encode([{ ...jobs[4]!, path: images[0]!, size: vision.config.imageSize }]));
    expect(all.counters).toMatchObject({ encoded: jobs.length, cached: 1 });
    await all.close();
  });

  it('computes while the next batch is gathered and begun, no more than one ahead', async () => {
    const vision = await visionOf();
    const plain = featureExtractor(vision, 'weights', feature);
    const events: string[] = [];
    const encoder: FeatureExtractor = {
      ...plain,
      encode: (patches) => {
        events.push('begun');
        return plain.encode(patches);
      },
    };
    const all = new ImageEncoder(gpu, vision, encoder, { batch: 1, cache: null });
    const jobs = images.slice(0, 3).map((path) => ({
      path,
      size: vision.config.imageSize,
      transform: { kind: 'test' as const },
    }));
    for await (const { index } of all.encode(jobs)) events.push(`result ${index}`);
    expect(events).toEqual(['begun', 'begun', 'result 0', 'begun', 'result 1', 'result 2']);
    // Whoever takes no more waits for what is under way.
    for await (const { index } of all.encode(jobs)) if (index === 0) break;
    await all.close();
    expect(all.times.computed).toBeGreaterThan(0);
  });

  it('is kept by what was decoded, where the image is replaced while it is looked up', async () => {
    const vision = await visionOf();
    const encoder = featureExtractor(vision, 'weights', feature);
    const path = join(folder, 'replaced.png');
    const cachePath = newCache();
    await featuresOf(vision, encoder, await open(cachePath, encoder.width), { paths: images.slice(2, 3) });
    copyFileSync(images[0]!, path);
    const cache = await open(cachePath, encoder.width);
    const has = cache.has.bind(cache);
    cache.has = (key) => {
      copyFileSync(images[1]!, path);
      return has(key);
    };
    await featuresOf(vision, encoder, cache, { paths: [path] });
    const direct = await featuresOf(vision, encoder, null, { paths: images.slice(0, 2) });
    const again = await featuresOf(vision, encoder, await open(cachePath, encoder.width), {
      paths: images.slice(0, 2),
    });
    expect(again).toEqual({ features: direct.features, encoded: 1 });
  });
});

it('features come from the cache and from the tower, each under its own index, whatever the cache turns out to have', async () => {
  const vision = await visionOf();
  const encoder = featureExtractor(vision, 'weights', feature);
  const cachePath = newCache();
  const { features } = await featuresOf(vision, encoder, null);
  const mixed = async (cache: FeatureCache) => featuresOf(vision, encoder, cache);
  await featuresOf(vision, encoder, await open(cachePath, encoder.width), { paths: images.slice(1, 4) });
  expect(await mixed(await open(cachePath, encoder.width))).toEqual({ features, encoded: 3 });
  const failing = await open(cachePath, encoder.width);
  const get = failing.get.bind(failing);
  failing.get = async (keys) => (await get(keys)).map((vector, i) => (i === 2 ? undefined : vector));
  expect(await mixed(failing)).toEqual({ features, encoded: 1 });
});

it('features come in the order of the jobs, where the cache has some and others are no images', async () => {
  const vision = await visionOf();
  const encoder = featureExtractor(vision, 'weights', feature);
  const cachePath = newCache();
  const broken = join(folder, 'broken.png');
  writeFileSync(broken, 'no image');
  await featuresOf(vision, encoder, await open(cachePath, encoder.width), {
    paths: [images[0]!, images[3]!],
  });
  // More than are looked up at once, beside one that waits for its batch.
  const many = Array.from({ length: 300 }, () => images[3]!);
  const paths = [images[1]!, images[0]!, broken, ...many, images[2]!, images[0]!, broken];
  const expected = (await featuresOf(vision, encoder, null, { paths: images.slice(0, 4) })).features;
  const { features, encoded } = await featuresOf(vision, encoder, await open(cachePath, encoder.width), {
    paths,
  });
  expect(encoded).toBe(2);
  const place = new Map(images.map((path, i) => [path, i]));
  for (const [i, path] of paths.entries()) expect(features[i]).toEqual(expected[place.get(path) ?? -1]);
});

describe('a feature that is not finite', () => {
  it('ends the work with the name of the image, and is not kept', async () => {
    const vision = await visionOf();
    const { width, encode } = featureExtractor(vision, 'weights', feature);
    const overflowing: FeatureExtractor = {
      width,
      id: 'overflowing',
      encode: (patches) => scope(() => scale(encode(patches), 3e38)),
    };
    const cache = newCache();
    await expect(featuresOf(vision, overflowing, await open(cache, width))).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/000\.png: number \d+ of the \d+ of its feature is -?Infinity$/),
      advice: expect.stringMatching(/weights --info counts them/),
    });
    for (const name of readdirSync(cache)) expect(readFileSync(join(cache, name)).length).toBe(0);
    const half = await FeatureCache.open(cache, { width: 1, type: 'float16' });
    expect(() => half.put('large', Float32Array.of(70_000))).toThrow(/cannot be cached as float16/);
  });

  it('of an image or a score is none of a scorer’s results', async () => {
    const model = await writeModel(join(folder, 'large.safetensors'), weights, (head) => {
      head.get('head.4.weight')!.data.fill(3e38);
      head.get('head.1.bias')!.data.fill(1e30);
    });
    const scorer = await Scorer.load(gpu, model);
    const all = async () => {
      for await (const result of scorer.score(images)) throw new Error(`gave ${JSON.stringify(result)}`);
    };
    await expect(all()).rejects.toThrow(/000\.png: its score is Infinity$/);
    const width = featureExtractor(await visionOf(), '', feature).width;
    await expect(scorer.scoreFeature(new Float32Array(width).fill(1))).rejects.toThrow(/score is Infinity/);
    await expect(scorer.scoreFeature(new Float32Array(width).fill(Number.NaN))).rejects.toThrow(
      /feature is NaN/,
    );
    await scorer.close();
  });

  it('is not what a head of NaN makes of it: the model is refused', async () => {
    const model = await writeModel(join(folder, 'nan.safetensors'), weights, (head) => {
      head.get('head.1.weight')!.data[3] = Number.NaN;
    });
    await expect(Scorer.load(gpu, model)).rejects.toThrow(/tensor .*head\.1\.weight holds NaN at \[0, 3\]/);
  });
});

describe('a lost device', () => {
  let unguard: (() => void) | undefined;
  afterEach(() => unguard?.());

  /** Destroys the device before those submissions that `lose` names, counted over all devices. */
  function loseAt(lose: (submission: number) => boolean): { readonly submissions: number } {
    const counted = { submissions: 0 };
    unguard = guardDevice(({ kind, device }) => {
      if (kind === 'submit' && lose(++counted.submissions)) device.destroy();
      return undefined;
    });
    return counted;
  }

  async function scoresOf(paths: readonly string[], model: string) {
    const device = await openGpu();
    try {
      const scorer = await Scorer.load(device, model);
      const results: object[] = [];
      for await (const result of scorer.score(paths)) results.push(result);
      const one = await scorer.scoreFeature(new Float32Array(32).fill(0.5));
      await scorer.close();
      return { results, one };
    } finally {
      device.close();
    }
  }

  it('is replaced while scores are computed, wherever it is lost, with the same results in the same order', async () => {
    const model = await writeModel(join(folder, 'model.safetensors'), weights);
    const paths = [...images, join(folder, 'nowhere.png'), images[0]!];
    const counted = loseAt(() => false);
    const undisturbed = await scoresOf(paths, model);
    unguard!();
    expect(undisturbed.results).toHaveLength(8);
    expect(counted.submissions).toBeGreaterThan(3);
    for (let at = 1; at <= counted.submissions; at++) {
      loseAt((submission) => submission === at);
      expect(await scoresOf(paths, model), `lost at submission ${at}`).toEqual(undisturbed);
      unguard!();
    }
  });

  it('that never comes to work again ends the work with the reason', async () => {
    const model = await writeModel(join(folder, 'model-2.safetensors'), weights);
    let begun = false;
    const counted = loseAt(() => begun);
    const device = await openGpu();
    const scorer = await Scorer.load(device, model);
    begun = true;
    const before = counted.submissions;
    const all = async () => {
      for await (const _ of scorer.score(images));
    };
    await expect(all()).rejects.toThrow(/lost \(destroyed\).*4 times in a row without progress/);
    // One more than the tries of the first batch: the next one was begun meanwhile.
    expect(counted.submissions - before).toBe(5);
    await scorer.close();
    device.close();
  });

  it('is not replaced by weights that were changed meanwhile', async () => {
    const copy = join(folder, 'changing.json');
    copyFileSync(weights, copy);
    const model = await writeModel(join(folder, 'model-3.safetensors'), copy);
    const device = await openGpu();
    const scorer = await Scorer.load(device, model);
    writeFileSync(copy, readFileSync(copy, 'utf8').replace('"seed": 5', '"seed": 6'));
    device.device.destroy();
    const all = async () => {
      for await (const _ of scorer.score(images));
    };
    await expect(all()).rejects.toThrow(/has changed since it was opened/);
    await scorer.close();
    device.close();
  });
});
