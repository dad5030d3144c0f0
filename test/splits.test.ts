import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { MersenneTwister } from '../src/data/datasets/mt19937.ts';
import { classOf, fewShot, limitSplit, trainTestSplit } from '../src/data/datasets/splits.ts';

interface Expected {
  train_len: number;
  test_len: number;
  train_head: number[];
  test_head: number[];
  sha256_train: string;
  sha256_test: string;
}
const expected = JSON.parse(
  readFileSync(new URL('./fixtures/splits/splits.json', import.meta.url), 'utf8'),
) as Record<string, Expected>;

const sha256 = (part: Int32Array) => createHash('sha256').update(part.join(',')).digest('hex');

describe('MersenneTwister', () => {
  it('gives the 10000th word of seed 5489 that the C++ standard demands of mt19937', () => {
    const generator = new MersenneTwister(5489);
    let word = 0;
    for (let i = 0; i < 10000; i++) word = generator.nextWord();
    expect(word).toBe(4123659995);
  });
});

describe('trainTestSplit', () => {
  it.each(Object.entries(expected).filter(([key]) => key.startsWith('n=')))(
    'equals scikit-learn for %s',
    (key, want) => {
      const [n, randomState] = key.match(/\d+/g)!.map(Number) as [number, number];
      const { train, test } = trainTestSplit(n, 0.2, randomState);
      expect([train.length, test.length]).toEqual([want.train_len, want.test_len]);
      expect([...train.subarray(0, want.train_head.length)]).toEqual(want.train_head);
      expect([...test.subarray(0, want.test_head.length)]).toEqual(want.test_head);
      expect(sha256(train)).toBe(want.sha256_train);
      expect(sha256(test)).toBe(want.sha256_test);
    },
  );

  it('rounds the test part up and takes counts', () => {
    expect(trainTestSplit(11, 0.2, 0).test.length).toBe(3);
    expect(trainTestSplit(11, 4, 0).test.length).toBe(4);
  });

  it.each([0, 1.5, 10, -0.1, Number.NaN])('refuses a test size of %d of 10', (testSize) => {
    expect(() => trainTestSplit(10, testSize, 42)).toThrow(UserError);
  });

  it.each([-1, 0.5, 2 ** 32])('refuses the seed %d', (seed) => {
    expect(() => trainTestSplit(10, 0.2, seed)).toThrow(/split seed/);
  });
});

describe('classOf', () => {
  it('takes the bounds as exclusive: 3.5 is good, not average, as in the published AGIN lists', () => {
    const bounds = [0.5, 1.5, 2.5, 3.5, 4.5];
    expect([0, 0.5, 3.49, 3.5, 4.5, 9].map((mos) => classOf(mos, bounds))).toEqual([0, 1, 3, 4, 5, 5]);
  });
});

describe('fewShot', () => {
  const labels = Array.from({ length: 100 }, (_, i) => i % 3);
  const part = Int32Array.from({ length: 90 }, (_, i) => 99 - i);

  it('draws so many of each class, in order, again the same for the same seed', () => {
    const few = fewShot(part, labels, 4, 1);
    expect(few.length).toBe(12);
    for (const label of [0, 1, 2]) expect([...few].filter((i) => labels[i] === label).length).toBe(4);
    expect([...few]).toEqual([...few].sort((a, b) => b - a));
    expect(fewShot(part, labels, 4, 1)).toEqual(few);
    expect(fewShot(part, labels, 4, 2)).not.toEqual(few);
  });

  it('gives all of a class that has fewer', () => {
    expect(fewShot(part, labels, 1000, 1)).toEqual(part);
  });

  it('refuses what is not a positive whole number', () => {
    expect(() => fewShot(part, labels, 0, 1)).toThrow(UserError);
  });
});

describe('limitSplit', () => {
  const range = (from: number, to: number) => Int32Array.from({ length: to - from }, (_, i) => from + i);
  const split = { train: range(0, 2385), val: range(0, 0), test: range(2385, 2982) };

  it('takes from each part in proportion', () => {
    const cut = limitSplit(split, 200, 1);
    expect([cut.train.length, cut.val.length, cut.test.length]).toEqual([160, 0, 40]);
    expect(new Set([...cut.train, ...cut.test]).size).toBe(200);
    expect(cut.train.every((i) => i < 2385)).toBe(true);
    expect(limitSplit(split, 200, 1)).toEqual(cut);
    expect(limitSplit(split, 200, 2).train).not.toEqual(cut.train);
  });

  it('keeps nested subsets: a smaller limit of the same seed is part of a larger one', () => {
    const large = new Set(limitSplit(split, 500, 1).train);
    expect([...limitSplit(split, 100, 1).train].every((i) => large.has(i))).toBe(true);
  });

  it('leaves no part empty and returns the whole where the limit is larger', () => {
    const cut = limitSplit({ train: range(0, 998), val: range(998, 999), test: range(999, 1000) }, 3, 1);
    expect([cut.train.length, cut.val.length, cut.test.length]).toEqual([1, 1, 1]);
    expect(limitSplit(split, 5000, 1)).toEqual(split);
    expect(() => limitSplit(split, 1, 1)).toThrow(/sets of the split/);
    expect(() => limitSplit(split, 2.5, 1)).toThrow(UserError);
  });
});
