import { expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { normals, uniform } from '../src/common/random.ts';
import { initialWeights } from '../src/model/weights/initial.ts';
import { pretrainingConfig } from '../src/pretraining/config.ts';
import { PretrainingModel } from '../src/pretraining/model.ts';
import { spectralFilters, startFromSpectra } from '../src/pretraining/spectral-weights.ts';
import { rowsOf } from '../src/reference/rows.ts';
import { sharedGpu } from './gpu.ts';

const side = 128;
const patch = 16;
const config = pretrainingConfig(
  {
    imageSize: side,
    patchSize: patch,
    visionWidth: 64,
    visionLayers: 3,
    textWidth: 64,
    textLayers: 1,
    embedding: 32,
  },
  10,
);

/** Gray noise, smoothed over boxes of 2 · radius + 1 pixels. */
function image(seed: number, radius: number): Uint8Array {
  const noise = normals(side * side, seed, 3);
  const at = (y: number, x: number) => noise[((y + side) % side) * side + ((x + side) % side)]!;
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const [y, x] = [Math.floor(i / 3 / side), Math.floor(i / 3) % side];
    let sum = 0;
    for (let dy = -radius; dy <= radius; dy++)
      for (let dx = -radius; dx <= radius; dx++) sum += at(y + dy, x + dx);
    return Math.min(255, Math.max(0, Math.round(128 + (50 * sum) / (2 * radius + 1))));
  });
}

/** The image's patches in another order. */
function shuffled(pixels: Uint8Array): Uint8Array {
  const across = side / patch;
  const order = Array.from({ length: across ** 2 }, (_, i) => i).sort(
    (a, b) => uniform(1, 1, a) - uniform(1, 1, b),
  );
  return Uint8Array.from(pixels, (_, i) => {
    const [y, x] = [Math.floor(i / 3 / side), Math.floor(i / 3) % side];
    const from = order[Math.floor(y / patch) * across + Math.floor(x / patch)]!;
    const sourceY = Math.floor(from / across) * patch + (y % patch);
    const sourceX = (from % across) * patch + (x % patch);
    return pixels[(sourceY * side + sourceX) * 3 + (i % 3)]!;
  });
}

/** Features of images through the tower as `start` leaves it, by row. */
async function features(images: Uint8Array[], spectral: boolean): Promise<Float32Array[]> {
  const gpu = await sharedGpu();
  const weights = initialWeights(config, 3);
  if (spectral) startFromSpectra(weights, config.vision);
  const model = new PretrainingModel(gpu, config, weights, { textLength: 1, teacherWidth: 0, seed: 3 });
  const bytes = Buffer.concat(images);
  const words = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const pixels = Tensor.from(gpu, words, [images.length, words.length / images.length]);
  const output = model.images(pixels);
  const values = await output.read();
  for (const tensor of [output, pixels]) tensor.dispose();
  model.dispose();
  return rowsOf(values, config.text.outputWidth);
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, i) => value - b[i]!)) / Math.hypot(...a);
}

it('the filters are the DCT: orthogonal, from the mean to the highest frequency, on luminance and two colors', () => {
  const filters = spectralFilters(64, patch);
  const length = 3 * patch ** 2;
  const filter = (i: number) => filters.subarray(i * length, (i + 1) * length);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  for (let i = 0; i < 64; i++)
    for (let j = 0; j < i; j++) {
      const cosine =
        dot(filter(i), filter(j)) / Math.sqrt(dot(filter(i), filter(i)) * dot(filter(j), filter(j)));
      // Red–blue and yellow–green are orthogonal to luminance and to each other.
      expect(Math.abs(cosine), `${i} and ${j}`).toBeLessThan(1e-5);
    }
  expect(new Set(filter(0)).size).toBe(1);
  // The checkerboard-like last one changes sign from each pixel to the next.
  const last = filter(47);
  for (let x = 1; x < patch; x++) expect(last[x]! * last[x - 1]!).toBeLessThan(0);
});

it('begins as a statistic: moved patches change the feature far less than blur does', async () => {
  const sharp = image(1, 0);
  const images = [sharp, shuffled(sharp), image(2, 0), image(1, 1)];
  const [own, moved, other, blurred] = await features(images, true);
  const blur = distance(own!, blurred!);
  expect(distance(own!, moved!)).toBeLessThan(0.1 * blur);
  expect(distance(own!, other!)).toBeLessThan(0.6 * blur);
  const [randomOwn, randomMoved, , randomBlurred] = await features(images, false);
  expect(distance(randomOwn!, randomMoved!)).toBeGreaterThan(0.15 * distance(randomOwn!, randomBlurred!));
});

it('refuses towers it cannot begin in', () => {
  const vision = { ...config.vision, layers: 1 };
  expect(() => startFromSpectra(initialWeights({ ...config, vision }, 1), vision)).toThrow(/two blocks/);
  expect(() => spectralFilters(512, 16)).toThrow(/256 frequencies/);
});
