import { afterAll, beforeAll, expect, it } from 'vitest';
import { scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { featureExtractor } from '../src/features/feature-extractor.ts';
import type { Clip } from '../src/model/clip.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { sharedGpu } from './gpu.ts';

// A plain ViT: exact GELU, eps 1e-6, a patch bias, no layer norm before the blocks. With QuickGELU or eps 1e-5 the
// features would be off by 1e-2 (test/fixtures/timm/make.py says so).
const folder = 'test/fixtures/timm';
let clip: Clip;
let images: Tensor;
const figures = new Map<string, Float32Array>();

beforeAll(async () => {
  const gpu = await sharedGpu();
  clip = await loadClip(gpu, `${folder}/model.safetensors`);
  const file = await openTensorFile(`${folder}/expected.safetensors`);
  for (const name of file.tensors.keys()) figures.set(name, await file.read(name));
  images = Tensor.from(gpu, figures.get('images')!, file.tensors.get('images')!.shape);
  await file.close();
});
afterAll(() => {
  images.dispose();
  clip.dispose();
});

it("a plain ViT's feature equals PyTorch's", async () => {
  expect(clip.hasText).toBe(false);
  const features = clip.encodeImages(images);
  expect(maxError(await features.read(), figures.get('features')!)).toBeLessThan(1e-5);
  features.dispose();
});

it("pooled blocks equal PyTorch's: class token, mean and standard deviation of the patch tokens", async () => {
  const settings = { trainer: 'image-only', layers: '1,2', pool: 'stats', weightType: 'float32' } as const;
  const encoder = featureExtractor(clip.vision, 'weights', settings);
  const pooled = scope(() => encoder.encode(clip.vision.patches(images)));
  const [first, second] = [figures.get('stats1')!, figures.get('stats2')!];
  const width = first.length / 2;
  const expected = [0, 1].flatMap((row) =>
    [first, second].flatMap((stats) => [...stats.subarray(row * width, (row + 1) * width)]),
  );
  expect(pooled.shape).toEqual([2, 2 * width]);
  expect(maxError(await pooled.read(), expected)).toBeLessThan(1e-5);
  pooled.dispose();
});
