import { expect, it } from 'vitest';
import { patchesFromBytes, patchesFromImages } from '../src/autograd/ops/patches.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

/** Element (image, channel, y, x) of row-major CHW images, laid out as patches. */
function patchesOf(
  at: (b: number, c: number, y: number, x: number) => number,
  batch: number,
  [height, width]: readonly [number, number],
  patch: number,
) {
  const out: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let gy = 0; gy < height / patch; gy++)
      for (let gx = 0; gx < width / patch; gx++)
        for (let c = 0; c < 3; c++)
          for (let py = 0; py < patch; py++)
            for (let px = 0; px < patch; px++) out.push(at(b, c, gy * patch + py, gx * patch + px));
  return out;
}

it.each([
  [1, 4, 4, 2],
  [3, 48, 48, 16],
  [2, 28, 28, 7],
  [2, 21, 35, 7],
  [1, 3, 9, 1],
])('lays out %i images of %i x %i pixels in patches of %i', async (batch, height, width, patch) => {
  const gpu = await sharedGpu();
  const values = randoms(batch * 3 * height * width, 1);
  const y = patchesFromImages(Tensor.from(gpu, values, [batch, 3, height, width]), patch);
  const expected = patchesOf(
    (b, c, py, px) => values[((b * 3 + c) * height + py) * width + px]!,
    batch,
    [height, width],
    patch,
  );
  expect(await y.read()).toEqual(Float32Array.from(expected));
});

it('normalizes bytes as the tensors would be', async () => {
  const gpu = await sharedGpu();
  const [batch, size, patch] = [2, 8, 4];
  const bytes = Uint8Array.from({ length: batch * size * size * 3 }, (_, i) => (i * 37) % 256);
  const mean = [0.48, 0.46, 0.41] as const;
  const std = [0.27, 0.26, 0.28] as const;
  const pixels = Tensor.from(gpu, new Uint32Array(bytes.buffer), [batch, (size * size * 3) / 4]);
  const y = patchesFromBytes(pixels, { size, patch, mean, std });
  const at = (b: number, c: number, py: number, px: number) =>
    (bytes[((b * size + py) * size + px) * 3 + c]! / 255 - mean[c]!) / std[c]!;
  expect(maxError(await y.read(), patchesOf(at, batch, [size, size], patch))).toBeLessThan(1e-6);
});

it('refuses images that do not divide into patches', async () => {
  const gpu = await sharedGpu();
  expect(() => patchesFromImages(Tensor.zeros(gpu, [1, 3, 10, 10]), 4)).toThrow(
    /10 pixels do not divide into patches of 4/,
  );
  expect(() => patchesFromImages(Tensor.zeros(gpu, [1, 3, 8, 10]), 4)).toThrow(/10 pixels do not divide/);
  expect(() => patchesFromImages(Tensor.zeros(gpu, [3, 8, 8]), 4)).toThrow(/not \[3, 8, 8\]/);
});
