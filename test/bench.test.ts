import { describe, expect, it } from 'vitest';
import { launchClock } from '../bench/ceiling.ts';
import { fitLine } from '../bench/growth/measure.ts';
import { imageOperations, loadsInSequence, rooflines } from '../bench/roofline.ts';
import { Schedule } from '../bench/schedule.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';

describe('the arithmetic of the bench', () => {
  it('finds the line through points, and how far the worst lies off', () => {
    const exact = fitLine([1, 2, 4, 8], [5, 7, 11, 19]);
    expect(exact.constant).toBeCloseTo(3, 9);
    expect(exact.perUnit).toBeCloseTo(2, 9);
    expect(exact.worst).toBeLessThan(1e-9);
    expect(fitLine([1, 2, 4, 8], [1, 4, 16, 64]).worst).toBeGreaterThan(0.3);
  });

  it('counts an image of ViT-B/16 as published, 17.6 billion multiply-adds, less what the last block spares', () => {
    expect(imageOperations() / 2e9).toBeGreaterThan(15.5);
    expect(imageOperations() / 2e9).toBeLessThan(17.6);
  });

  it('promises of a GPU no more than its compiler leaves, and of a step no less than its waiting', () => {
    // 12 layers of products over 512 (five), 1536 and twice 2048 steps of k, 256 at once.
    expect(loadsInSequence()).toBe(12 * (5 * 2 + 6 + 2 * 8));
    for (const { share, imagesPerSecond, stepMilliseconds } of rooflines()) {
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThan(1);
      expect(imagesPerSecond).toBeGreaterThan(100);
      const { launches, loads, whole, host } = stepMilliseconds;
      expect(whole).toBeGreaterThan(launches + loads);
      expect(whole).toBeGreaterThanOrEqual(host);
    }
  });
});

it('a schedule tells the time left by the steps done and what they cost', () => {
  let clock = 0;
  const schedule = new Schedule([1, 3, 2], () => clock);
  expect(schedule.step()).toBe('[1/3]');
  clock = 20_000;
  expect(schedule.step()).toBe('[2/3, 1 min 40 s left]');
  clock = 40_000; // the second was three times as fast as expected
  expect(schedule.step()).toBe('[3/3, 20 s left]');
});

describe('the clock of launches', () => {
  /** A device whose launches take so long each, and a submission some more. */
  const timed = (each: number, submission: number) => {
    const device = { launched: 0, waited: 0, now: 0 };
    const gpu = {
      finish: async () => {
        const { launched } = device;
        device.now += launched > 0 ? launched * each + submission : 0;
        device.launched = 0;
        device.waited = Math.max(device.waited, launched);
      },
    } as unknown as Gpu;
    return {
      device,
      time: launchClock(
        gpu,
        () => device.launched++,
        'wall',
        () => device.now,
      ),
    };
  };

  it('takes as many short ones as make up for the submission, and a long one alone', async () => {
    const short = timed(0.01, 0.1);
    // 5 ms of launches beside 0.1 ms: 2 percent off, where one by itself is off by ten times.
    expect(await short.time()).toBeCloseTo(0.01, 3);
    expect(short.device.waited).toBeGreaterThan(300);
    const long = timed(20, 0.1);
    expect(await long.time()).toBeCloseTo(20.1, 9);
    expect(long.device.waited).toBe(1);
    const none = timed(0, 0.001);
    expect(await none.time()).toBeLessThan(1e-5);
  });
});
