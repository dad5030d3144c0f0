import { describe, expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { StoredFeatures } from '../src/features/feature-source.ts';
import { sharedGpu } from './gpu.ts';

describe('stored features', () => {
  const [width, views, samples] = [2, 3, 4];
  /** Says of which image it is and which view. */
  const rows = new Map(
    Array.from({ length: samples }, (_, sample) => [
      sample,
      Float32Array.from({ length: views * width }, (_, i) => 10 * sample + Math.floor(i / width)),
    ]),
  );
  const viewsOf = async (epoch: number): Promise<number[]> => {
    const gpu = await sharedGpu();
    const target = Tensor.empty(gpu, [samples, width]);
    await new StoredFeatures(width, views, rows).fill(Int32Array.of(3, 1, 0, 2), epoch, target);
    const values = await target.read();
    target.dispose();
    for (const [row, sample] of [3, 1, 0, 2].entries()) {
      expect(values[row * width]).toBe(values[row * width + 1]);
      expect(Math.floor(values[row * width]! / 10)).toBe(sample);
    }
    return [2, 1, 3, 0].map((row) => values[row * width]! % 10);
  };

  it('show each image every view in turn, and an epoch different views', async () => {
    const epochs = [await viewsOf(0), await viewsOf(1), await viewsOf(2)];
    for (let sample = 0; sample < samples; sample++)
      expect(new Set(epochs.map((seen) => seen[sample]))).toEqual(new Set([0, 1, 2]));
    for (const seen of epochs) expect(new Set(seen)).toEqual(new Set([0, 1, 2]));
    expect(await viewsOf(views)).toEqual(epochs[0]);
  });
});
