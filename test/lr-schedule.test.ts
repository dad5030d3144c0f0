import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { learningRates } from '../src/training/lr-schedule.ts';

const reference = JSON.parse(
  readFileSync(new URL('./fixtures/lr-schedule/lr-schedule.json', import.meta.url), 'utf8'),
) as { lr: number; max_epoch: number; per_epoch: number[] };

test('the published schedule, epoch by epoch', () => {
  const rates = learningRates({
    epochs: reference.max_epoch,
    lr: reference.lr,
    warmupEpochs: 1,
    warmupLr: 1e-5,
  });
  expect(rates.length).toBe(100);
  const worst = Math.max(...rates.map((rate, epoch) => Math.abs(rate - reference.per_epoch[epoch]!)));
  expect(worst).toBeLessThan(1e-9);
});

test('without warm-up the first epoch runs at the full rate; warm-up may outlast the run', () => {
  const rates = learningRates({ epochs: 4, lr: 1, warmupEpochs: 0, warmupLr: 0.1 });
  const expected = [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2];
  for (const [epoch, rate] of rates.entries()) expect(rate).toBeCloseTo(expected[epoch]!, 12);
  expect(learningRates({ epochs: 2, lr: 1, warmupEpochs: 5, warmupLr: 0.1 })).toEqual([0.1, 0.1]);
});
