import { expect, it } from 'vitest';
import { Tensor } from '../src/autograd/tensor.ts';
import { ClassScores } from '../src/model/class-scores.ts';
import { mosScale } from '../src/training/class-centers.ts';
import { sharedGpu } from './gpu.ts';

it('logits and expected scores as computed by hand', async () => {
  const gpu = await sharedGpu();
  // Cosines of the first image: 1, 0; of the second: 0.6, 0.8.
  const model = new ClassScores(Tensor.from(gpu, [1, 0, 0, 1], [2, 2]), Float32Array.of(5, 1), 2);
  const features = Tensor.from(gpu, [3, 0, 6, 8], [2, 2]);
  const logits = model.logits(features);
  const scores = model.predict(features);
  for (const [i, value] of [2, 0, 1.2, 1.6].entries()) expect((await logits.read())[i]).toBeCloseTo(value, 5);
  const good = [1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(0.4))];
  for (const [i, p] of good.entries()) expect((await scores.read())[i]).toBeCloseTo(1 + 4 * p, 5);
  for (const tensor of [features, logits, scores]) tensor.dispose();
  model.dispose();
});

it('a class stands for its mean score, an empty one for the middle of its bounds', () => {
  const mos = [1, 2, 4, 9];
  expect(mosScale(mos, [0, 0, 1, 3], [3, 5, 8])).toEqual({
    centers: Float32Array.of(1.5, 4, 6.5, 9),
    range: [1, 9],
  });
  // Empty classes at the ends: bounded by the range, or by their threshold where that lies beyond it.
  expect(mosScale([4, 4.5], [1, 1], [3, 5, 8]).centers).toEqual(Float32Array.of(3, 4.25, 6.5, 8));
});
