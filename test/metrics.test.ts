import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { krcc, mae, plcc, rmse, srcc } from '../src/data/metrics/correlation.ts';

interface Case {
  pred: number[];
  mos: number[];
  srcc: number;
  plcc: number;
  krcc: number;
  rmse: number;
}
const { cases } = JSON.parse(
  readFileSync(new URL('./fixtures/metrics/metrics.json', import.meta.url), 'utf8'),
) as { cases: Case[] };

/** Tau-b by its definition, pair by pair. */
function tauByPairs(a: readonly number[], b: readonly number[]): number {
  let surplus = 0;
  let untiedA = 0;
  let untiedB = 0;
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const x = Math.sign(a[i]! - a[j]!);
      const y = Math.sign(b[i]! - b[j]!);
      surplus += x * y;
      untiedA += x * x;
      untiedB += y * y;
    }
  return surplus / Math.sqrt(untiedA * untiedB);
}

describe('correlations and errors', () => {
  it("equal SciPy's to 1e-9, with ties and without", () => {
    expect(cases.map(({ pred }) => pred.length)).toEqual([20, 50, 600, 600]);
    for (const { pred, mos, ...expected } of cases) {
      expect(Math.abs(srcc(pred, mos) - expected.srcc)).toBeLessThan(1e-9);
      expect(Math.abs(plcc(pred, mos) - expected.plcc)).toBeLessThan(1e-9);
      expect(Math.abs(krcc(pred, mos) - expected.krcc)).toBeLessThan(1e-9);
      expect(Math.abs(rmse(pred, mos) - expected.rmse)).toBeLessThan(1e-9);
    }
  });

  it('counts tau-b as its definition does, however many ties', () => {
    for (const levels of [2, 3, 7, 40])
      for (let n = 2; n < 40; n++) {
        const a = Array.from({ length: n }, (_, i) => (i * i * 31 + 7 * i) % levels);
        const b = Array.from({ length: n }, (_, i) => (i * 17 + ((i * i) % 5)) % (levels + 1));
        const expected = tauByPairs(a, b);
        if (Number.isNaN(expected)) expect(krcc(a, b)).toBeNaN();
        else expect(krcc(a, b)).toBeCloseTo(expected, 12);
      }
  });

  it('take hand-made lists', () => {
    expect(plcc([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 12);
    expect(srcc([1, 2, 30], [3, 2, 1])).toBeCloseTo(-1, 12);
    expect(srcc([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(3) / 2, 12); // ranks 1.5 1.5 3
    expect(rmse([1, 2], [4, 6])).toBeCloseTo(Math.sqrt(12.5), 12);
    expect(mae([1, 2], [4, 6])).toBeCloseTo(3.5, 12);
  });

  it('are NaN where they are not defined', () => {
    for (const metric of [srcc, plcc, krcc]) {
      expect(metric([], [])).toBeNaN();
      expect(metric([1], [2])).toBeNaN();
      expect(metric([1, 1, 1], [1, 2, 3])).toBeNaN();
      expect(metric([1, 2, 3], [5, 5, 5])).toBeNaN();
      expect(metric([0.1, 0.1, 0.1], [1, 2, 4])).toBeNaN(); // their rounded mean is not 0.1
    }
    for (const metric of [srcc, plcc, krcc, rmse, mae])
      expect(metric([1, Number.NaN, 3], [1, 2, 3])).toBeNaN();
    expect(rmse([], [])).toBeNaN();
    expect(mae([], [])).toBeNaN();
  });
});
