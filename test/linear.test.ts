import { describe, expect, it } from 'vitest';
import { packWeight, rowsOf } from '../src/autograd/linear-weight.ts';
import type { Operand } from '../src/autograd/op.ts';
import { add, scale } from '../src/autograd/ops/arithmetic.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { matmul } from '../src/autograd/ops/matmul.ts';
import { slice } from '../src/autograd/ops/shape.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { elementCount } from '../src/common/shape.ts';
import { float32ToFloat16 } from '../src/data/formats/float16.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { OutOfMemoryError } from '../src/kernels/device/memory.ts';
import { packsIntoTexture } from '../src/kernels/matmul/packed-weight.ts';
import type { ActivationName } from '../src/kernels/unary.ts';
import { referenceMatmul } from '../src/reference/matmul.ts';
import { activate } from '../src/reference/unary.ts';
import { checkOp } from './check-op.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(maxError(got, expected)).toBeLessThan(tolerance);
}

describe('linear', () => {
  const [m, n, k] = [5, 12, 8];

  describe.each([
    [5, 12, 8],
    [5, 7, 12],
  ])('of %i rows, %i outputs of %i inputs', (rows, outputs, width) => {
    /** act(x·Wᵀ + b) + r in float64. */
    const define =
      (activation: ActivationName) =>
      (x: Float64Array, weight: Float64Array, bias?: Float64Array, residual?: Float64Array) =>
        referenceMatmul(x, weight, { m: rows, n: outputs, k: width, transposeB: true }).map(
          (sum, i) => activate(activation, sum + (bias?.[i % outputs] ?? 0)) + (residual?.[i] ?? 0),
        );
    const [x, weight, bias, residual] = [
      [rows, width],
      [outputs, width],
      [outputs],
      [rows, outputs],
    ] as const;
    const options = { forward: 1e-5, gradient: 2e-5 };

    it.each(['none', 'quick_gelu', 'gelu', 'relu', 'tanh'] as const)(
      'is its definition, with %s',
      async (activation) => {
        await checkOp(
          (a, w, b, r) => linear(a, w, b, { activation, residual: r }),
          define(activation),
          [x, weight, bias, residual],
          options,
        );
        // ReLU's gradient is read off the output here, where nothing is added to it.
        await checkOp((a, w) => linear(a, w, null, { activation }), define(activation), [x, weight], options);
      },
    );
  });

  it.each(['quick_gelu', 'gelu', 'relu', 'tanh'] as const)(
    "has its gradient in one pass with the next layer's, after %s: that of two passes",
    async (activation) => {
      const gpu = await sharedGpu();
      for (const [rows, inner] of [
        [5, 12],
        [35, 7],
      ] as const) {
        const [x, first, bias, second] = [[rows, k], [inner, k], [inner], [n, inner]].map((shape, i) =>
          keep(Tensor.from(gpu, randoms(elementCount(shape), i), shape)),
        ) as [Tensor, Tensor, Tensor, Tensor];
        const dy = keep(Tensor.from(gpu, randoms(rows * n, 5), [rows, n]));
        const { liveBuffers } = gpu.pool.statistics;
        const run = async (between: (hidden: Tensor) => Tensor) => {
          const kernels: string[] = [];
          gpu.tracer = { dispatch: (kernel) => void kernels.push(kernel) };
          const { value, gradients } = valueAndGradients(
            () => linear(between(linear(x, first, bias, { activation })), second, null),
            [x, first, bias],
            dy,
          );
          gpu.tracer = undefined;
          const values: Float32Array[] = [];
          for (const one of gradients.values()) values.push(await one.read());
          for (const one of [value, ...gradients.values()]) one.dispose();
          return { values, kernels };
        };
        const [together, apart] = [await run((hidden) => hidden), await run((hidden) => scale(hidden, 1))];
        expect(together.values).toEqual(apart.values);
        expect(together.kernels).not.toContain('unary_backward');
        expect(apart.kernels).toContain('unary_backward');
        expect(gpu.pool.statistics.liveBuffers).toBe(liveBuffers);
        for (const one of [x, first, bias, second, dy]) one.dispose();
      }
    },
  );

  it('computes a gradient that was put off where another use adds to it, or somebody keeps it', async () => {
    const gpu = await sharedGpu();
    const [x, first, second] = [
      Tensor.from(gpu, randoms(m * k, 1), [m, k]),
      Tensor.from(gpu, randoms(k * k, 2), [k, k]),
      Tensor.from(gpu, randoms(k * k, 3), [k, k]),
    ] as const;
    const dy = Tensor.from(gpu, randoms(m * k, 5), [m, k]);
    const gradient = async (f: (hidden: Tensor) => Tensor) => {
      const { gradients } = valueAndGradients(
        () => f(linear(x, first, null, { activation: 'gelu' })),
        [x],
        dy,
      );
      return gradients.get(x)!.read();
    };
    const alone = await gradient((h) => linear(h, second, null));
    const direct = await gradient((h) => h);
    const both = await gradient((h) => add(linear(h, second, null), h));
    expectClose(
      both,
      alone.map((value, i) => value + direct[i]!),
      1e-6,
    );
    // The hidden layer's own gradient, which is a result here.
    const hidden = linear(x, first, null, { activation: 'gelu' });
    const { gradients } = valueAndGradients(() => linear(hidden, second, null), [hidden], dy);
    const expected = referenceMatmul(await dy.read(), await second.read(), { m, n: k, k });
    expectClose(await gradients.get(hidden)!.read(), expected, 1e-5);
  });

  it('gives no gradient to what is frozen, and keeps no pre-activation when nothing is recorded', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(m * k, 1), [1, m, k]);
    const weight = Tensor.from(gpu, randoms(n * k, 2), [n, k]);
    const dy = Tensor.from(gpu, randoms(m * n, 5), [1, m, n]);
    const { gradients, value } = valueAndGradients(() => linear(x, weight, null), [x], dy);
    expect([...gradients.keys()]).toEqual([x]);
    expect(value.shape).toEqual([1, m, n]);
    const before = gpu.pool.statistics.liveBuffers;
    const y = linear(x, weight, null, { activation: 'gelu' });
    expect(gpu.pool.statistics.liveBuffers).toBe(before + 1);
    y.dispose();
  });

  it('takes float16 weights', async () => {
    const gpu = await sharedGpu();
    // ±1.5 and ±0.5 as halves
    const values = [1.5, -0.5, 0.5, -1.5];
    const bits = [0x3e00, 0xb800, 0x3800, 0xbe00];
    const weights = Float32Array.from({ length: n * k }, (_, i) => values[(i * 7) % 4]!);
    const half = Tensor.from(
      gpu,
      Uint16Array.from({ length: n * k }, (_, i) => bits[(i * 7) % 4]!),
      [n, k],
    );
    const full = Tensor.from(gpu, weights, [n, k]);
    const x = Tensor.from(gpu, randoms(m * k, 1), [m, k]);
    const dy = Tensor.from(gpu, randoms(m * n, 5), [m, n]);
    const byHalf = valueAndGradients(() => linear(x, half, null), [x], dy);
    const byFull = valueAndGradients(() => linear(x, full, null), [x], dy);
    expectClose(await byHalf.value.read(), await byFull.value.read(), 1e-6);
    expectClose(await byHalf.gradients.get(x)!.read(), await byFull.gradients.get(x)!.read(), 1e-6);
  });

  it('refuses shapes that do not fit', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.zeros(gpu, [2, 3]);
    expect(() => linear(x, Tensor.zeros(gpu, [4, 5]), null)).toThrow('x [2, 3] does not fit a weight [4, 5]');
    expect(() => linear(x, Tensor.zeros(gpu, [4, 3]), Tensor.zeros(gpu, [3]))).toThrow('a bias of 3');
  });
});

describe('matmul', () => {
  describe.each([
    [2, 3, 5, 4],
    [2, 3, 5, 17],
  ])('%i times [%i, %i] by sums over %i', (batch, m, n, k) => {
    it.each([
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ])('is its definition with transposes %s, %s', async (transposeA, transposeB) => {
      const gpu = await sharedGpu();
      const shapes = [
        transposeA ? [batch, k, m] : [batch, m, k],
        transposeB ? [batch, n, k] : [batch, k, n],
      ] as const;
      const transposes = { transposeA, transposeB };
      await checkOp(
        (a, b) => matmul(a, b, transposes),
        (a, b) => referenceMatmul(a, b, { m, n, k, batch, ...transposes }),
        shapes,
      );
      const [a, b] = shapes.map((shape) => Tensor.zeros(gpu, shape)) as [Tensor, Tensor];
      expect(matmul(a, b, transposes).shape).toEqual([batch, m, n]);
    });
  });

  it('refuses shapes that do not fit', async () => {
    const gpu = await sharedGpu();
    expect(() => matmul(Tensor.zeros(gpu, [2, 3]), Tensor.zeros(gpu, [2, 3]))).toThrow('does not fit');
  });
});

describe.each([false, true])('a packed weight, halves: %s', (half) => {
  const [m, n, k] = [21, 64, 128];
  const values = randoms(n * k, 21);
  const stored = half ? float32ToFloat16(values) : values;
  const run = async (weight: Operand, x: Tensor, dy: Tensor) => {
    const { value, gradients } = valueAndGradients(() => linear(x, weight, null), [x], dy);
    return [await value.read(), await gradients.get(x)!.read()] as const;
  };

  it('gives what a tensor gives, and so do its rows', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, randoms(m * k, 22), [m, k]);
    const dy = Tensor.from(gpu, randoms(m * n, 23), [m, n]);
    const [plain, packed] = [Tensor.from(gpu, stored, [n, k]), packWeight(gpu, stored, [n, k])];
    expect(packed.interleaved).toBe(packsIntoTexture(gpu, n, k));
    const [expected, got] = [await run(plain, x, dy), await run(packed, x, dy)];
    for (const part of [0, 1] as const) expectClose(got[part], expected[part], 2e-6);
    const dyOfRows = slice(dy, 1, 16, 48);
    const byRows = async (weight: Operand) => run(rowsOf(weight, 16, 48), x, dyOfRows);
    const [expectedOfRows, gotOfRows] = [await byRows(plain), await byRows(packed)];
    for (const part of [0, 1] as const) expectClose(gotOfRows[part], expectedOfRows[part], 2e-6);
    // Another variant may suit fewer columns; packed into a texture there is one order of sums.
    const tolerance = packed.interleaved ? 1e-12 : 2e-6;
    expectClose(gotOfRows[0], await slice(Tensor.from(gpu, got[0], [m, n]), 1, 16, 48).read(), tolerance);
    packed.dispose();
    expect(() => linear(x, packed, null)).toThrow(`weight [${n}, ${k}] is disposed`);
    for (const one of [x, dy, dyOfRows, plain]) one.dispose();
  });

  it('is freed by scopes, kept by keep(), and outlives its scope on the tape', async () => {
    const gpu = await sharedGpu();
    const x = keep(Tensor.from(gpu, randoms(m * k, 24), [m, k]));
    const dy = keep(Tensor.from(gpu, randoms(m * n, 25), [m, n]));
    const live = gpu.pool.statistics.liveBuffers;
    const kept = scope(() => {
      rowsOf(packWeight(gpu, stored, [n, k]), 8, 16);
      return [keep(packWeight(gpu, stored, [n, k]))] as const;
    });
    expect(gpu.pool.statistics.liveBuffers).toBe(live + 1);
    kept[0].dispose();
    expect(() => scope(() => linear(x, packWeight(gpu, stored, [n, k - 1]), null))).toThrow('do not fill');
    expect(gpu.pool.statistics.liveBuffers).toBe(live);
    const { value, gradients } = valueAndGradients(
      () => scope(() => linear(x, packWeight(gpu, stored, [n, k]), null)),
      [x],
      dy,
    );
    const [expected] = await run(keep(Tensor.from(gpu, stored, [n, k])), x, dy);
    expectClose(await value.read(), expected, 2e-6);
    expect(await gradients.get(x)!.read()).toHaveLength(m * k);
    for (const one of [value, ...gradients.values()]) one.dispose();
  });
});

it('a weight without room names itself', async () => {
  const gpu = await sharedGpu();
  const stop = guardDevice(({ kind, bytes = 0 }) =>
    kind === 'allocate' && bytes > 2 ** 20 ? 'out of memory' : undefined,
  );
  try {
    gpu.trim();
    const make = () => packWeight(gpu, new Float32Array(640 * 512), [640, 512], 'blocks.0.fc');
    expect(make).toThrow(/no room for .*\(tensor blocks\.0\.fc \[640, 512\]\)/);
    const live = gpu.pool.statistics.liveBuffers;
    expect(make).toThrow(OutOfMemoryError);
    expect(gpu.pool.statistics.liveBuffers).toBe(live);
  } finally {
    stop();
  }
});
