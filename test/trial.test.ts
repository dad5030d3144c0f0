import { afterAll, describe, expect, it } from 'vitest';
import { maxError } from '../src/common/compare.ts';
import { naive as naiveAttention, naiveBackward } from '../src/kernels/attention/naive.ts';
import { backwardTrial, forwardTrial } from '../src/kernels/attention/trial.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { runTrial, type Trial } from '../src/kernels/device/trial.ts';
import { choose, classOf, pendingShapes, tune, tuned } from '../src/kernels/device/tuning.ts';
import { binary } from '../src/kernels/elementwise.ts';
import type { matmul } from '../src/kernels/matmul/index.ts';
import { naive } from '../src/kernels/matmul/naive.ts';
import { shapeOf } from '../src/kernels/matmul/shape.ts';
import { trial as matmulTrial } from '../src/kernels/matmul/trial.ts';
import { openGpu } from '../src/kernels/node/open-gpu.ts';
import type { FamilyTrial } from '../src/kernels/variant.ts';
import { cacheFolder } from './cache-folder.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

cacheFolder('trial-');
const size = 4096;

/** More workgroup memory than any adapter has: a driver refuses it. */
const refused = {
  name: 'refused',
  source: `
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
var<workgroup> big: array<f32, 6553600>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { big[id.x] = x[id.x]; out[id.x] = big[id.x]; }`,
};

const trialOf = (gpu: Gpu, ways: Record<string, () => void> = {}): Trial => ({
  inputs: [{ elements: size, type: 'f32' }],
  output: size,
  reference: 'good',
  tolerance: 1e-6,
  run(variant, [x], out) {
    if (variant === 'refused') gpu.run(refused, { buffers: [x!, out], groups: [64] });
    else if (variant === 'huge') gpu.pool.release(gpu.pool.allocate(2 ** 45));
    else {
      ways[variant]?.();
      binary(gpu, 'add', x!, x!, out, size);
    }
  },
});

const opened: Gpu[] = [];
const open = async () => {
  opened.push(await openGpu());
  return opened.at(-1)!;
};
afterAll(() => {
  for (const gpu of opened) gpu.close();
});

describe('a variant that fails', () => {
  it('is left out and named, and the device goes on', async () => {
    const gpu = await open();
    const lines: string[] = [];
    const variants = ['good', 'refused', 'huge', 'fine'];
    const pick = () =>
      choose(gpu, { name: 'failing', version: '12345678' }, 'x', variants, 'good', () => trialOf(gpu));
    pick();
    await tune(gpu, { rounds: 2, onLeftOut: (line) => lines.push(line) });
    const [measured] = [...tuned(gpu).values()];
    expect(Object.keys(measured!.times)).toEqual(['good', 'fine']);
    expect(Object.keys(measured!.leftOut!)).toEqual(['refused', 'huge']);
    expect(lines).toEqual([
      expect.stringMatching(/^tuning {5}failing x: variant refused is left out: kernel refused/),
      expect.stringMatching(/^tuning {5}failing x: variant huge is left out: .*largest buffer/),
    ]);
    expect(['good', 'fine']).toContain(pick());
    expect(pendingShapes(gpu)).toBe(0);
    await gpu.finish();
  });

  it('decides nothing where the reference itself fails', async () => {
    const gpu = await open();
    const trial = { ...trialOf(gpu), reference: 'huge' };
    choose(gpu, { name: 'hopeless', version: '1' }, 'x', ['huge', 'good'], 'good', () => trial);
    await tune(gpu, { onLeftOut: () => {} });
    expect([...tuned(gpu).values()].at(-1)).toMatchObject({ times: {} });
    await gpu.finish();
  });

  it('that takes the device with it is not tried again, here or in another process', async () => {
    let gpu = await open();
    const family = { name: 'fatal', version: '1' };
    const variants = ['good', 'fatal'];
    const pick = () =>
      choose(gpu, family, 'y', variants, 'good', () => trialOf(gpu, { fatal: () => gpu.device.destroy() }));
    pick();
    await expect(tune(gpu, { rounds: 1 })).rejects.toThrow('device was lost');
    for (const next of [await gpu.reopen(), await open()]) {
      gpu = next;
      const lines: string[] = [];
      if (pick() === 'good' && pendingShapes(gpu) > 0)
        await tune(gpu, { rounds: 1, onLeftOut: (line) => lines.push(line) });
      const measured = [...tuned(gpu)].find(([key]) => key === 'fatal/1/y')![1];
      expect(measured).toMatchObject({ variant: 'good', leftOut: { fatal: 'lost the device before' } });
    }
  });
});

describe('timing', () => {
  it('gives back what it took', async () => {
    const gpu = await open();
    const before = gpu.pool.statistics.heldBytes;
    choose(gpu, { name: 'trim', version: '1' }, 'x', ['good', 'fine'], 'good', () => trialOf(gpu));
    await tune(gpu, { rounds: 1 });
    expect(gpu.pool.statistics.heldBytes).toBeLessThanOrEqual(before);
  });

  it('is by the median, and one slow sample drops nothing', async () => {
    const gpu = await sharedGpu();
    // The better one meets a stall at its first sample, as a shared machine has them.
    const samples: Record<string, number[]> = { good: [9, 2, 2, 2, 2, 2], better: [1, 60, 1, 1, 1, 1] };
    let current = '';
    const clock = async (run: (times: number) => void, times: number) => {
      run(times);
      await gpu.finish();
      return samples[current]!.shift() ?? 1;
    };
    const trial = trialOf(gpu);
    const noting: Trial = { ...trial, run: (variant, ...rest) => trial.run((current = variant), ...rest) };
    const { times } = await runTrial(gpu, ['good', 'better'], noting, { rounds: 5, clock });
    expect(times).toEqual({ good: 2, better: 1 });
  });

  it('spends no more on what is hopeless twice', async () => {
    const gpu = await sharedGpu();
    const launched: Record<string, number> = {};
    let current = '';
    const clock = async (run: (times: number) => void, times: number) => {
      run(times);
      await gpu.finish();
      launched[current] = (launched[current] ?? 0) + 1;
      return current === 'slow' ? 100 : 10;
    };
    const trial = trialOf(gpu);
    const noting: Trial = { ...trial, run: (variant, ...rest) => trial.run((current = variant), ...rest) };
    await runTrial(gpu, ['good', 'slow'], noting, { rounds: 5, clock });
    expect(launched).toEqual({ good: 6, slow: 3 });
  });

  it('lasts for milliseconds, however short a launch is', async () => {
    const gpu = await sharedGpu();
    let launches = 0;
    const counts: number[] = [];
    const clock = async (run: (times: number) => void, times: number) => {
      launches = 0;
      run(times);
      counts.push(launches);
      return 0.1;
    };
    await runTrial(gpu, ['good'], trialOf(gpu, { good: () => launches++ }), { rounds: 2, clock });
    expect(counts).toEqual([1, 50, 50]);
  });
});

it('classes of rows are few, and hold what is alike', () => {
  expect([1, 8, 9, 35, 64, 65, 1576, 12608, 1e6].map(classOf)).toEqual([
    8, 8, 16, 64, 64, 128, 2048, 4096, 4096,
  ]);
});

/** That a trial's part is what the naive variant gives of the whole. */
async function checkPart<Shape, Args>(
  gpu: Gpu,
  declared: FamilyTrial<Shape, Args>,
  ofPart: (shape: Shape) => FamilyTrial<Shape, Args>,
  launch: (args: Args, shape: Shape) => void,
): Promise<void> {
  const part = declared.part!;
  const data = declared.inputs.map(({ elements }, i) => Float32Array.from(randoms(elements, i + 1)));
  const held = (values: Float32Array) => {
    const buffer = gpu.pool.allocate(4 * values.length);
    gpu.write(buffer, values);
    return buffer;
  };
  const inputs = data.map(held);
  const out = gpu.pool.allocate(4 * declared.output);
  launch(declared.args(inputs, out), declared.shape!);
  const whole = new Float32Array(await gpu.read(out, 4 * declared.output));
  const small = ofPart(part.shape);
  const partInputs = (part.inputs(data) as Float32Array[]).map(held);
  const partOut = gpu.pool.allocate(4 * small.output);
  launch(small.args(partInputs, partOut), small.shape ?? part.shape);
  const got = new Float32Array(await gpu.read(partOut, 4 * small.output));
  const expected = part.runs.flatMap(([start, length]) => [...whole.subarray(start, start + length)]);
  expect(got.length).toBe(expected.length);
  expect(maxError(got, Float32Array.from(expected))).toBeLessThan(1e-6);
  for (const buffer of [...inputs, out, ...partInputs, partOut]) gpu.pool.release(buffer);
}

describe('what the naive variant computes', () => {
  const none = undefined as never;
  const product = (m: number, n: number, k: number, more: Partial<Parameters<typeof matmul>[1]> = {}) =>
    shapeOf({ a: none, b: none, out: none, m, n, k, ...more });

  it.each([
    ['rows by rows', product(700, 640, 600, { transposeB: true })],
    ['rows of a transposed A', product(700, 640, 600, { transposeA: true })],
    ['an entry of a batch', product(300, 320, 300, { batch: 9 })],
  ])('is part of a product: %s', async (_, shape) => {
    const gpu = await sharedGpu();
    const declared = matmulTrial(shape);
    await checkPart(gpu, declared, matmulTrial, (args, of) => naive.launch(gpu, args, of));
  });

  it('is never a second of work, whatever the product', () => {
    for (const m of [1, 64, 1576, 12608, 50432]) {
      const { shape, part } = matmulTrial(product(m, 3072, 768, { transposeB: true }));
      expect(2 * shape!.m * 3072 * 768).toBeLessThanOrEqual(1e10);
      const checked = part?.shape ?? shape!;
      expect(2 * checked.m * 3072 * 768).toBeLessThanOrEqual(1e9);
    }
    const attention = {
      batch: 96,
      queries: 197,
      keys: 197,
      heads: 12,
      headDim: 64,
      mask: 'none' as const,
      aligned: true,
      gradientsTogether: true,
    };
    expect(forwardTrial(attention).part!.shape.batch).toBe(1);
    expect(forwardTrial(attention).shape!.batch).toBeLessThan(96);
  });

  it('is the last entry of a batch in attention, and of its gradients', async () => {
    const gpu = await sharedGpu();
    const shape = {
      batch: 6,
      queries: 197,
      keys: 190,
      heads: 4,
      headDim: 64,
      mask: 'none' as const,
      aligned: true,
      gradientsTogether: true,
    };
    await checkPart(gpu, forwardTrial(shape), forwardTrial, (args, of) =>
      naiveAttention.launch(gpu, args, of),
    );
    await checkPart(gpu, backwardTrial(shape), backwardTrial, (args, of) =>
      naiveBackward.launch(gpu, args, of),
    );
  });
});
