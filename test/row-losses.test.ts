import { describe, expect, it } from 'vitest';
import {
  fidelityLoss,
  gradedResponseLoss,
  normInNormLoss,
  plccLoss,
} from '../src/autograd/ops/row-losses.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { rowsOf, sumOf } from '../src/reference/rows.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const gpu = await sharedGpu();

/** A batch as one row, and versions of each image of a batch as rows of few numbers. */
const shapes = [
  [1, 32],
  [5, 2],
  [3, 7],
  [2, 67],
] as const;

type Row = ArrayLike<number>;

/** A row less its mean, of unit length. */
function standing(row: Row): Float64Array {
  const values = Float64Array.from(row);
  const mean = sumOf(values) / values.length;
  const apart = values.map((value) => value - mean);
  return apart.map((value) => value / Math.hypot(...apart));
}

/** The mean over rows of a loss of a row and its targets. */
const meanOver = (targets: Float32Array, width: number, loss: (row: Row, target: Row) => number) => {
  const wanted = rowsOf(targets, width);
  return (x: Float64Array) => {
    const losses = rowsOf(x, width).map((row, i) => loss(row, wanted[i]!));
    return [sumOf(Float64Array.from(losses)) / losses.length];
  };
};

/** Φ by the series of its definition where it converges, and its continued fraction in the tail: both to 1e-14. */
function normalBelow(z: number): number {
  const u = Math.abs(z);
  const density = Math.exp((-u * u) / 2) / Math.sqrt(2 * Math.PI);
  if (u < 4) {
    let [term, sum] = [u, u];
    for (let k = 1; k < 200; k++) sum += term *= (u * u) / (2 * k + 1);
    return z < 0 ? 0.5 - density * sum : 0.5 + density * sum;
  }
  let fraction = 0;
  for (let k = 100; k > 0; k--) fraction = k / (u + fraction);
  const tail = density / (u + fraction);
  return z < 0 ? tail : 1 - tail;
}

const losses = {
  plccLoss: {
    op: plccLoss,
    of: (row: Row, target: Row) => {
      const [x, t] = [standing(row), standing(target)];
      return 1 - sumOf(x.map((value, i) => value * t[i]!));
    },
  },
  normInNormLoss: {
    op: normInNormLoss,
    of: (row: Row, target: Row) => {
      const [x, t] = [standing(row), standing(target)];
      return sumOf(x.map((value, i) => Math.abs(value - t[i]!))) / (2 * Math.sqrt(x.length));
    },
  },
  fidelityLoss: {
    op: fidelityLoss,
    of: (row: Row, target: Row) => {
      let [sum, pairs] = [0, 0];
      for (let i = 0; i < row.length; i++)
        for (let j = i + 1; j < row.length; j++, pairs++) {
          const above = normalBelow((row[i]! - row[j]!) / Math.SQRT2);
          const below = normalBelow((row[j]! - row[i]!) / Math.SQRT2);
          const p = (Math.sign(target[i]! - target[j]!) + 1) / 2;
          sum += 1 - Math.sqrt(p * above) - Math.sqrt((1 - p) * below);
        }
      return sum / pairs;
    },
  },
};

describe.each(Object.entries(losses))('%s', (_, { op, of }) => {
  it.each(shapes)('of %i rows of %i, and its gradient', async (rows, width) => {
    const target = randoms(rows * width, 2);
    // Two that are equal.
    target[1] = target[0]!;
    if (width === 2) target[1] -= 1;
    const targets = Tensor.from(gpu, target, [rows, width]);
    // In a unit of their own, and farther from 0 than from each other.
    const values = (count: number) => randoms(count, 3, 2).map((value) => value + 5);
    // Of two numbers, only the order is left of their standing: a gradient of 0, made of what rounding leaves.
    const gradient = width === 2 && op !== fidelityLoss ? Number.POSITIVE_INFINITY : 2e-5;
    await checkOp((x) => op(x, targets), meanOver(target, width, of), [[rows, width]], {
      values,
      gradient,
      forward: 3e-6,
    });
  });

  it('of equal predictions has no gradient that is not finite', async () => {
    const [x, targets] = [Tensor.from(gpu, [2, 2, 2]), Tensor.from(gpu, [1, 2, 3])];
    const { value, gradients } = valueAndGradients(() => op(x, targets), [x]);
    expect(Number.isFinite((await value.read())[0])).toBe(true);
    const slope = await gradients.get(x)!.read();
    if (op === fidelityLoss) expect(slope[0]).toBeGreaterThan(0);
    else expect([...slope].map(Math.abs)).toEqual([0, 0, 0]);
  });

  it('refuses lists of different shape', () => {
    expect(() => op(Tensor.from(gpu, [1, 2]), Tensor.from(gpu, [1, 2, 3]))).toThrow(
      /predictions \[2\] and targets \[3\]/,
    );
  });
});

describe('fidelityLoss', () => {
  it('of pairs that are far apart, in the right order and in the wrong one', async () => {
    const target = Float32Array.of(1, 0, 0, 1, 1, 0);
    const targets = Tensor.from(gpu, target, [3, 2]);
    for (const apart of [6, 15, 1000]) {
      const values = () => Float32Array.of(apart, 0, apart, 0, 0, apart / 3);
      await checkOp((x) => fidelityLoss(x, targets), meanOver(target, 2, losses.fidelityLoss.of), [[3, 2]], {
        values,
      });
    }
  });
});

describe('gradedResponseLoss', () => {
  const probability = (row: Row, grade: number) => {
    const reach = (k: number) => (k < 0 ? 1 : k >= row.length ? 0 : 1 / (1 + Math.exp(-row[k]!)));
    return reach(grade - 1) - reach(grade);
  };

  it.each([
    [1, 1],
    [5, 4],
    [37, 5],
  ] as const)('of %i rows of %i boundaries', async (rows, width) => {
    const grades = Uint32Array.from({ length: rows }, (_, row) => (row * 7 + 4) % (width + 1));
    const targets = Tensor.from(gpu, grades);
    // Falling along a row, by much and by little.
    const values = () => {
      const steps = randoms(rows * width, 4).map((value, i) => (i % 3 === 0 ? 0.02 : 0.1) + Math.abs(value));
      for (let i = 0; i < steps.length; i++)
        steps[i] = i % width === 0 ? 2 * steps[i]! : steps[i - 1]! - steps[i]!;
      return steps;
    };
    await checkOp(
      (x) => gradedResponseLoss(x, targets),
      (x) => {
        const each = rowsOf(x, width).map((row, i) => -Math.log(probability(row, grades[i]!)));
        return [sumOf(Float64Array.from(each)) / rows];
      },
      [[rows, width]],
      { values },
    );
  });

  it('is finite of a grade that is all but impossible', async () => {
    const x = Tensor.from(gpu, [200, -300], [1, 2]);
    const { value, gradients } = valueAndGradients(
      () => gradedResponseLoss(x, Tensor.from(gpu, Uint32Array.of(2))),
      [x],
    );
    expect((await value.read())[0]).toBeCloseTo(300, 3);
    expect([...(await gradients.get(x)!.read())]).toEqual([0, -1]);
  });

  it('refuses grades of another number', () => {
    expect(() =>
      gradedResponseLoss(Tensor.from(gpu, [1, 0], [1, 2]), Tensor.from(gpu, Uint32Array.of(1, 0))),
    ).toThrow(/logits \[1, 2\] and 2 grades/);
  });
});
