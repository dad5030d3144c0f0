import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { uniform } from '../src/common/random.ts';
import { bootstrapIntervals } from '../src/data/metrics/bootstrap.ts';
import { plcc, rmse, srcc } from '../src/data/metrics/correlation.ts';
import { evaluate, metricsOf } from '../src/data/metrics/evaluation.ts';
import { logisticFit } from '../src/data/metrics/logistic.ts';

interface Case {
  pred: number[];
  mos: number[];
  plcc_logistic4: number;
  rmse_logistic4: number;
}
const { cases } = JSON.parse(
  readFileSync(new URL('./fixtures/metrics/metrics.json', import.meta.url), 'utf8'),
) as { cases: Case[] };

const hard = JSON.parse(
  readFileSync(new URL('./fixtures/metrics/logistic.json', import.meta.url), 'utf8'),
) as { kind: string; pred: number[]; mos: number[]; rmse4: number | null; rmse5: number | null }[];

describe('logisticFit', () => {
  it("meets SciPy's four-parameter fit to 1e-4", () => {
    for (const { pred, mos, ...expected } of cases) {
      const fit = logisticFit(pred, mos, 4);
      expect(Math.abs(fit.plcc - expected.plcc_logistic4)).toBeLessThan(1e-4);
      expect(Math.abs(fit.rmse - expected.rmse_logistic4)).toBeLessThan(1e-4);
      expect(rmse(pred.map(fit.predict), mos)).toBeCloseTo(fit.rmse, 12);
    }
  });

  it('finds the curve that the scores were made with', () => {
    const x = Array.from({ length: 60 }, (_, i) => i / 6 - 4);
    const four = x.map((v) => 1 + 4 / (1 + Math.exp(-(v - 0.7) / 1.3)));
    const fit = logisticFit(x, four, 4);
    expect(fit.rmse).toBeLessThan(1e-6);
    expect(fit.predict(0.7)).toBeCloseTo(3, 5);
    const five = x.map((v) => 3 * (0.5 - 1 / (1 + Math.exp(1.1 * (v - 0.4)))) + 0.2 * v + 2);
    expect(logisticFit(x, five, 5).rmse).toBeLessThan(1e-4);
  });

  it.each(hard.map(({ kind, pred }, i) => [i, kind, pred.length]))(
    'finds what SciPy finds from hundreds of starts: %i, %s of %i',
    (i) => {
      const { pred, mos, ...best } = hard[i]!;
      const [four, five] = [logisticFit(pred, mos, 4), logisticFit(pred, mos, 5)];
      expect(five.rmse).toBeLessThanOrEqual(four.rmse * (1 + 1e-12));
      if (best.rmse4 === null) return;
      expect(four.rmse).toBeLessThan(best.rmse4 * (1 + 1e-4));
      expect(five.rmse).toBeLessThan(best.rmse5! * (1 + 1e-4));
    },
  );

  it('does not turn a reversed model round', () => {
    const reversed = hard.filter(({ kind }) => kind === 'reversed');
    expect(reversed).toHaveLength(2);
    for (const { pred, mos } of reversed) {
      expect(plcc(pred, mos)).toBeLessThan(-0.7);
      const mean = mos.map(() => mos.reduce((a, b) => a + b, 0) / mos.length);
      for (const kind of [4, 5] as const) {
        const fit = logisticFit(pred, mos, kind);
        expect(fit.plcc).toBeNaN();
        expect(fit.rmse).toBeCloseTo(rmse(mean, mos), 12);
      }
    }
  });

  it('fits no worse than the line it starts from', () => {
    for (const { pred, mos } of cases)
      for (const kind of [4, 5] as const)
        expect(logisticFit(pred, mos, kind).plcc).toBeGreaterThan(plcc(pred, mos));
  });

  it('is NaN for too few pairs or constant predictions', () => {
    for (const fit of [logisticFit([], [], 4), logisticFit([1, 2, 3, 4], [1, 2, 3, 4], 4)]) {
      expect(fit.plcc).toBeNaN();
      expect(fit.rmse).toBeNaN();
    }
    for (const value of [2, 0.1])
      expect(logisticFit(new Array(9).fill(value), [1, 2, 3, 4, 5, 6, 7, 8, 9], 5).rmse).toBeNaN();
  });
});

describe('bootstrapIntervals', () => {
  const { pred, mos } = cases[2]!;
  const plccInterval = (seed: number) =>
    bootstrapIntervals({ plcc }, [pred, mos], { resamples: 400, seed }).plcc;

  it("brackets the correlation as Fisher's z does, and again with the same seed", () => {
    const interval = plccInterval(7);
    const z = Math.atanh(plcc(pred, mos));
    const fisher = [-1.96, 1.96].map((t) => Math.tanh(z + t / Math.sqrt(pred.length - 3)));
    for (const [i, bound] of interval.entries()) expect(Math.abs(bound - fisher[i]!)).toBeLessThan(0.003);
    expect(plccInterval(7)).toEqual(interval);
    expect(plccInterval(8)).not.toEqual(interval);
  });

  it('shows every metric the same resamples, each drawn with replacement', () => {
    const seen: Record<string, string[]> = { one: [], other: [] };
    const record = (name: string) => (a: ArrayLike<number>, b: ArrayLike<number>) => {
      seen[name]!.push(`${Array.from(a)} ${Array.from(b)}`);
      return a[0]!;
    };
    const metrics = { one: record('one'), other: record('other') };
    bootstrapIntervals(
      metrics,
      [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
      ],
      { resamples: 6, seed: 3 },
    );
    expect(seen.one).toHaveLength(7); // the pairs themselves, then the resamples
    expect(seen.other).toEqual(seen.one);
    expect(new Set(seen.one).size).toBe(7);
    for (const [at, text] of seen.one!.slice(1).entries()) {
      const picks = Array.from({ length: 5 }, (_, i) => Math.floor(uniform(3, 0x2000 + at, i) * 5));
      expect(text).toBe(`${picks} ${picks.map((pick) => pick + 5)}`);
    }
  });

  it('cuts 2.5 % off each end', () => {
    let calls = 0;
    // 0, 1, 2 … 999 over the resamples, in another order; the first call is of the pairs themselves.
    const counting = () => (calls++ * 387) % 1000;
    const { counted } = bootstrapIntervals(
      { counted: counting },
      [
        [1, 2],
        [1, 2],
      ],
      { resamples: 1000 },
    );
    expect(calls).toBe(1001);
    expect(counted).toEqual([25, 975]);
  });

  it('is NaN where no resample has the metric, and no other metric suffers', () => {
    const { srcc: rank, rmse: error } = bootstrapIntervals(
      { srcc, rmse },
      [
        [1, 1, 1],
        [1, 2, 3],
      ],
      {
        resamples: 20,
      },
    );
    expect(rank).toEqual([Number.NaN, Number.NaN]);
    expect(error[0]).toBeGreaterThanOrEqual(0);
    expect(error[1]).toBeLessThanOrEqual(2);
  });
});

describe('evaluate', () => {
  const { pred, mos } = cases[1]!;

  it('reports overall, by group and with intervals', () => {
    const groups = pred.map((_, i) => (i % 3 === 0 ? 'sd' : 'dalle'));
    const report = evaluate(pred, mos, { groups, bootstrap: 50 });
    expect(report.overall).toEqual(metricsOf(pred, mos));
    expect(Object.keys(report.byGroup)).toEqual(['dalle', 'sd']);
    expect(report.byGroup.sd!.n + report.byGroup.dalle!.n).toBe(50);
    const sd = (_: number, i: number) => i % 3 === 0;
    expect(report.byGroup.sd).toEqual(metricsOf(pred.filter(sd), mos.filter(sd)));
    expect(report.logistic.plcc4).toBe(logisticFit(pred, mos, 4).plcc);
    for (const name of ['srcc', 'plcc', 'krcc', 'rmse'] as const) {
      const [low, high] = report.intervals![name];
      expect(low).toBeLessThan(report.overall[name]);
      expect(high).toBeGreaterThan(report.overall[name]);
    }
    expect(evaluate(pred, mos).intervals).toBeUndefined();
  });

  it('survives no images, one, and equal predictions', () => {
    expect(evaluate([], []).overall).toEqual({
      n: 0,
      srcc: Number.NaN,
      plcc: Number.NaN,
      krcc: Number.NaN,
      rmse: Number.NaN,
      mae: Number.NaN,
    });
    expect(evaluate([1], [3]).overall).toMatchObject({ n: 1, rmse: 2, mae: 2, srcc: Number.NaN });
    const equal = evaluate([4, 4, 4, 4, 4, 4], [1, 2, 3, 4, 5, 6], { bootstrap: 5 });
    expect(equal.overall).toMatchObject({ srcc: Number.NaN, plcc: Number.NaN, krcc: Number.NaN });
  });
});
