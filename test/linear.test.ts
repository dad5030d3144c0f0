import { describe, expect, it } from 'vitest';
import { gradcheck } from '../src/autograd/gradcheck.ts';
import { type LinearWeight, packWeight, rowsOf } from '../src/autograd/linear-weight.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { matmul } from '../src/autograd/ops/matmul.ts';
import { slice } from '../src/autograd/ops/shape.ts';
import { keep, scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { maxError } from '../src/common/compare.ts';
import { normal } from '../src/common/random.ts';
import { float32ToFloat16 } from '../src/data/formats/float16.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { OutOfMemoryError } from '../src/kernels/device/memory.ts';
import type { ActivationName } from '../src/kernels/unary.ts';
import { sharedGpu } from './gpu.ts';
import { activate } from './reference/unary.ts';

const random = (count: number, stream: number) =>
  Float32Array.from({ length: count }, (_, i) => normal(11, stream, i));

/** y = act(x·Wᵀ + b) + r in float64, as the sum of y·dy: a scalar to differentiate by differences. */
function objective(
  [x, w, b, r, dy]: readonly ArrayLike<number>[],
  m: number,
  n: number,
  k: number,
  activation: ActivationName,
): number {
  let total = 0;
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let z = b![j]!;
      for (let q = 0; q < k; q++) z += x![i * k + q]! * w![j * k + q]!;
      total += dy![i * n + j]! * (activate(activation, z) + r![i * n + j]!);
    }
  return total;
}

/** Central differences of f by every element of one of its inputs. */
function differences(
  f: (inputs: readonly Float64Array[]) => number,
  inputs: readonly Float32Array[],
  at: number,
) {
  const doubles = inputs.map((input) => Float64Array.from(input));
  const step = 1e-6;
  return Float64Array.from(inputs[at]!, (value, i) => {
    doubles[at]![i] = value + step;
    const up = f(doubles);
    doubles[at]![i] = value - step;
    const down = f(doubles);
    doubles[at]![i] = value;
    return (up - down) / (2 * step);
  });
}

function expectClose(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(maxError(got, expected)).toBeLessThan(tolerance);
}

describe('linear', () => {
  const [m, n, k] = [5, 12, 8];
  const names = ['x', 'weight', 'bias', 'residual'] as const;
  const inputs = [random(m * k, 1), random(n * k, 2), random(n, 3), random(m * n, 4), random(m * n, 5)];

  it.each(['none', 'quick_gelu', 'gelu', 'relu'] as const)(
    'has the gradients of finite differences with activation %s',
    async (activation) => {
      const gpu = await sharedGpu();
      const shapes = [[m, k], [n, k], [n], [m, n]];
      const tensors = shapes.map((shape, i) => Tensor.from(gpu, inputs[i]!, shape));
      const [x, weight, bias, residual] = tensors as [Tensor, Tensor, Tensor, Tensor];
      const dy = Tensor.from(gpu, inputs[4]!, [m, n]);
      const { gradients } = valueAndGradients(
        () => linear(x, weight, bias, { activation, residual }),
        tensors,
        dy,
      );
      for (const [i, name] of names.entries()) {
        const expected = differences((v) => objective(v, m, n, k, activation), inputs, i);
        const got = await gradients.get(tensors[i]!)!.read();
        expectClose(got, expected, 2e-5);
        expect(name).toBe(names[i]);
      }
    },
  );

  it('reads the gradient of ReLU off its output', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, inputs[0]!, [m, k]);
    const weight = Tensor.from(gpu, inputs[1]!, [n, k]);
    const dy = Tensor.from(gpu, inputs[4]!, [m, n]);
    const zeros = [inputs[0]!, inputs[1]!, new Float32Array(n), new Float32Array(m * n), inputs[4]!];
    const { gradients } = valueAndGradients(
      () => linear(x, weight, null, { activation: 'relu' }),
      [x, weight],
      dy,
    );
    for (const [i, tensor] of [x, weight].entries())
      expectClose(
        await gradients.get(tensor)!.read(),
        differences((v) => objective(v, m, n, k, 'relu'), zeros, i),
        2e-5,
      );
  });

  it('gives no gradient to what is frozen, and keeps no pre-activation when nothing is recorded', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, inputs[0]!, [1, m, k]);
    const weight = Tensor.from(gpu, inputs[1]!, [n, k]);
    const dy = Tensor.from(gpu, inputs[4]!, [1, m, n]);
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
    const x = Tensor.from(gpu, inputs[0]!, [m, k]);
    const dy = Tensor.from(gpu, inputs[4]!, [m, n]);
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
  const [batch, m, n, k] = [2, 3, 5, 4];

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('has the gradients of the formulas with transposes %s, %s', async (transposeA, transposeB) => {
    const gpu = await sharedGpu();
    const a = random(batch * m * k, 21);
    const b = random(batch * k * n, 22);
    const dy = random(batch * m * n, 23);
    const atA = (z: number, i: number, q: number) => z * m * k + (transposeA ? q * m + i : i * k + q);
    const atB = (z: number, q: number, j: number) => z * k * n + (transposeB ? j * k + q : q * n + j);
    const y = new Float64Array(batch * m * n);
    const da = new Float64Array(a.length);
    const db = new Float64Array(b.length);
    for (let z = 0; z < batch; z++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++)
          for (let q = 0; q < k; q++) {
            const at = (z * m + i) * n + j;
            y[at]! += a[atA(z, i, q)]! * b[atB(z, q, j)]!;
            da[atA(z, i, q)]! += dy[at]! * b[atB(z, q, j)]!;
            db[atB(z, q, j)]! += dy[at]! * a[atA(z, i, q)]!;
          }
    const ta = Tensor.from(gpu, a, transposeA ? [batch, k, m] : [batch, m, k]);
    const tb = Tensor.from(gpu, b, transposeB ? [batch, n, k] : [batch, k, n]);
    const { value, gradients } = valueAndGradients(
      () => matmul(ta, tb, { transposeA, transposeB }),
      [ta, tb],
      Tensor.from(gpu, dy, [batch, m, n]),
    );
    expect(value.shape).toEqual([batch, m, n]);
    expectClose(await value.read(), y, 1e-5);
    expectClose(await gradients.get(ta)!.read(), da, 1e-5);
    expectClose(await gradients.get(tb)!.read(), db, 1e-5);
  });

  it('refuses shapes that do not fit', async () => {
    const gpu = await sharedGpu();
    expect(() => matmul(Tensor.zeros(gpu, [2, 3]), Tensor.zeros(gpu, [2, 3]))).toThrow('does not fit');
  });
});

describe('against finite differences', () => {
  it.each(['none', 'quick_gelu', 'gelu', 'tanh'] as const)(
    'linear with %s, bias and residual',
    async (activation) => {
      const gpu = await sharedGpu();
      const inputs = [
        Tensor.from(gpu, random(5 * 12, 51), [5, 12]),
        Tensor.from(gpu, random(7 * 12, 52), [7, 12]),
        Tensor.from(gpu, random(7, 53)),
        Tensor.from(gpu, random(5 * 7, 54), [5, 7]),
      ];
      const f = (x?: Tensor, w?: Tensor, b?: Tensor, r?: Tensor) =>
        linear(x!, w!, b!, { activation, residual: r! });
      await gradcheck(f, inputs, { tolerance: 1e-2 });
    },
  );

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('batched matmul, transposed %s and %s', async (transposeA, transposeB) => {
    const gpu = await sharedGpu();
    const inputs = [
      Tensor.from(gpu, random(2 * 3 * 4, 55), transposeA ? [2, 4, 3] : [2, 3, 4]),
      Tensor.from(gpu, random(2 * 4 * 5, 56), transposeB ? [2, 5, 4] : [2, 4, 5]),
    ];
    await gradcheck((a, b) => matmul(a!, b!, { transposeA, transposeB }), inputs, { tolerance: 5e-3 });
  });
});

describe.each([false, true])('a packed weight, halves: %s', (half) => {
  const [m, n, k] = [21, 64, 128];
  const values = random(n * k, 21);
  const stored = half ? float32ToFloat16(values) : values;
  const run = async (weight: LinearWeight, x: Tensor, dy: Tensor) => {
    const { value, gradients } = valueAndGradients(() => linear(x, weight, null), [x], dy);
    return [await value.read(), await gradients.get(x)!.read()] as const;
  };

  it('gives what a tensor gives, and so do its rows', async () => {
    const gpu = await sharedGpu();
    const x = Tensor.from(gpu, random(m * k, 22), [m, k]);
    const dy = Tensor.from(gpu, random(m * n, 23), [m, n]);
    const [plain, packed] = [Tensor.from(gpu, stored, [n, k]), packWeight(gpu, stored, [n, k])];
    expect(packed.interleaved).toBe(gpu.adapter.software && gpu.adapter.readsTextures);
    const [expected, got] = [await run(plain, x, dy), await run(packed, x, dy)];
    for (const part of [0, 1] as const) expectClose(got[part], expected[part], 2e-6);
    const dyOfRows = slice(dy, 1, 16, 48);
    const byRows = async (weight: LinearWeight) => run(rowsOf(weight, 16, 48), x, dyOfRows);
    const [expectedOfRows, gotOfRows] = [await byRows(plain), await byRows(packed)];
    for (const part of [0, 1] as const) expectClose(gotOfRows[part], expectedOfRows[part], 2e-6);
    expectClose(gotOfRows[0], await slice(Tensor.from(gpu, got[0], [m, n]), 1, 16, 48).read(), 1e-12);
    packed.dispose();
    expect(() => linear(x, packed, null)).toThrow(`weight [${n}, ${k}] is disposed`);
    for (const one of [x, dy, dyOfRows, plain]) one.dispose();
  });

  it('is freed by scopes, kept by keep(), and outlives its scope on the tape', async () => {
    const gpu = await sharedGpu();
    const x = keep(Tensor.from(gpu, random(m * k, 24), [m, k]));
    const dy = keep(Tensor.from(gpu, random(m * n, 25), [m, n]));
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
