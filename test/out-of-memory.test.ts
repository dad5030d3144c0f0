import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { toHalf } from '../src/autograd/cast.ts';
import { clipGradients } from '../src/autograd/clip-gradients.ts';
import { multiply } from '../src/autograd/ops/arithmetic.ts';
import { attention } from '../src/autograd/ops/attention.ts';
import { layerNorm } from '../src/autograd/ops/layernorm.ts';
import { linear } from '../src/autograd/ops/linear.ts';
import { mseLoss } from '../src/autograd/ops/losses.ts';
import { sum, sumOfSquares } from '../src/autograd/ops/reduce.ts';
import { reshape } from '../src/autograd/ops/shape.ts';
import { AdamW } from '../src/autograd/optimizers.ts';
import { scope } from '../src/autograd/scope.ts';
import { valueAndGradients } from '../src/autograd/tape.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { DeviceErrors } from '../src/kernels/device/errors.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { guardDevice } from '../src/kernels/device/guard.ts';
import { DeviceMemory, OutOfMemoryError } from '../src/kernels/device/memory.ts';
import { Staging } from '../src/kernels/device/staging.ts';
import { Clip } from '../src/model/clip.ts';
import { initialHead, RegressionHead } from '../src/model/head.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import type { WeightValues } from '../src/model/weights/weights.ts';
import { weightsId } from '../src/model/weights/weights-id.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { writeCheckpoint } from '../src/training/checkpoint.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';

const gpu = await sharedGpu();
let unguard: (() => void) | undefined;
afterEach(() => {
  unguard?.();
  unguard = undefined;
});

/** Counts buffers and textures made from now on; those from `first` to `last` are refused. */
function refuse(first: number, last: number): { readonly count: number } {
  unguard?.();
  const counted = { count: 0 };
  unguard = guardDevice(({ kind }) => {
    if (kind !== 'allocate') return undefined;
    counted.count++;
    return counted.count >= first && counted.count <= last ? 'out of memory' : undefined;
  });
  return counted;
}

/**
 * Does `work` again and again, each time refusing another of its allocations (or each third, …): the error is clear, nothing is leaked, and
 * the device goes on. Refused once only (each fourth), what was in store is given back, and it works, to the same result.
 */
async function sweep<T>(work: () => Promise<T>, each = 1): Promise<string[]> {
  const fresh = async () => {
    await gpu.finish();
    gpu.trim();
  };
  await work();
  await fresh();
  const expected = await work();
  await fresh();
  const { liveBuffers, liveBytes } = gpu.pool.statistics;
  const counted = refuse(0, 0);
  await work();
  const total = counted.count;
  expect(total).toBeGreaterThan(5);
  const messages: string[] = [];
  for (let n = 1; n <= total; n += each) {
    await fresh();
    refuse(n, n + 1); // it is tried twice
    const error = await work().then(
      () => new Error(`allocation ${n} of ${total} was not made`),
      (reason: Error) => reason,
    );
    unguard!();
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error.message).toMatch(
      /^the GPU has no room for [\d.]+ (bytes|MiB) \(.+\); [\d.]+ (bytes|MiB) are already in use( \(in .+\))*$/,
    );
    expect(gpu.pool.statistics, `${n} of ${total}: ${error.stack}`).toMatchObject({ liveBuffers, liveBytes });
    messages.push(error.message);
    if (messages.length % 4 > 0) continue;
    await fresh();
    refuse(n, n);
    expect(await work(), `${n} of ${total} refused once`).toEqual(expected);
    unguard!();
    expect(gpu.pool.statistics).toMatchObject({ liveBuffers, liveBytes });
  }
  return messages;
}

/** A training step with everything that needs scratch of its own, run, captured and replayed. */
async function train(device: Gpu, head: RegressionHead, inputs: readonly Tensor[]): Promise<Float32Array[]> {
  const [x, y, qkv, gamma, beta] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const parameters = [qkv, gamma, beta, ...head.parameters.values()];
  const before = await Promise.all(parameters.map((tensor) => tensor.read()));
  const optimizer = new AdamW(parameters, { lr: 0.01 });
  try {
    const step = () =>
      scope(() => {
        const { value, gradients } = valueAndGradients(() => {
          const attended = attention(linear(layerNorm(x, gamma, beta), qkv, null), { heads: 2 });
          const scores = head.forward(reshape(attended, [attended.size / 16, 16]));
          return mseLoss(scores, y);
        }, parameters);
        optimizer.step(clipGradients(gradients, 1));
        return value;
      });
    const plain = step();
    const first = await plain.read().finally(() => plain.dispose());
    const { recording, value } = device.capture(step);
    try {
      recording.replay();
      return [first, await value.read(), await qkv.read()];
    } finally {
      value.dispose();
      recording.dispose();
    }
  } finally {
    optimizer.dispose();
    for (const [i, tensor] of parameters.entries()) tensor.write(before[i]!);
  }
}

describe('the n-th allocation refused, for every n', () => {
  it('of a training step', async () => {
    const head = new RegressionHead(gpu, initialHead(16, 8, 1));
    // Rows enough for sums in two passes.
    const [batch, tokens, width] = [52, 40, 16];
    const inputs = [
      Tensor.from(gpu, randoms(batch * tokens * width, 1), [batch, tokens, width]),
      Tensor.from(gpu, randoms(batch * tokens, 2), [batch * tokens]),
      Tensor.from(gpu, randoms(3 * width * width, 3, 0.1), [3 * width, width]),
      Tensor.from(gpu, randoms(width, 4)),
      Tensor.from(gpu, randoms(width, 5)),
    ];
    const messages = await sweep(() => train(gpu, head, inputs));
    expect(messages).toContainEqual(expect.stringMatching(/\(a tensor \[52, 40, 48\]\)/));
    expect(messages).toContainEqual(expect.stringMatching(/\(scratch of kernel mse\)/));
    expect(messages).toContainEqual(expect.stringMatching(/\(reading 4 bytes back\)/));
    expect(messages).toContainEqual(expect.stringMatching(/\(in gradient of layerNorm\(.*\)\)$/));
    for (const tensor of [...inputs, ...head.parameters.values()]) tensor.dispose();
  }, 120_000);

  it('of loading a model and encoding with it', async () => {
    const weights = await openClipWeights(
      fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url)),
    );
    // Values are computed from the specification once.
    const values = new Map<string, Float32Array>();
    for (const name of weights.names()) values.set(name, await weights.read(name));
    const remembered: WeightValues = {
      config: weights.config,
      names: () => weights.names(),
      has: (name) => weights.has(name),
      shape: (name) => weights.shape(name),
      read: async (name) => values.get(name)!,
    };
    const messages = await sweep(async () => {
      const clip = await Clip.from(gpu, remembered);
      try {
        const { imageSize } = clip.config.vision;
        const images = Tensor.from(gpu, randoms(3 * imageSize ** 2, 6), [1, 3, imageSize, imageSize]);
        try {
          const features = clip.encodeImages(images);
          return await features.read().finally(() => features.dispose());
        } finally {
          images.dispose();
        }
      } finally {
        clip.dispose();
      }
    });
    await weights.close();
    expect(messages).toContainEqual(expect.stringMatching(/\(tensor visual\.conv1\.weight \[[\d, ]+\]\)/));
    expect(messages).toContainEqual(expect.stringMatching(/\(tensor token_embedding\.weight \[[\d, ]+\]\)/));
  }, 120_000);

  it('of loading a scorer and scoring', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'scores-'));
    const settings = {
      ...defaultSettings(),
      weights: fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url)),
      trainer: 'image-only' as const,
    };
    const features = 32;
    const head = initialHead(features, 4, 1);
    const path = join(folder, 'model.safetensors');
    await writeCheckpoint(path, {
      settings,
      state: { epoch: 1, records: [], best: null },
      weightsId: await weightsId(settings.weights),
      words: [],
      parameters: new Map(),
      optimizer: new Map(),
      constants: new Map(Object.entries(head).map(([name, value]) => [`head.${name}`, value])),
    });
    const messages = await sweep(async () => {
      const scorer = await Scorer.load(gpu, path, { batch: 2 });
      try {
        const scores: unknown[] = [await scorer.scoreFeature(randoms(features, 8))];
        for await (const scored of scorer.score(['test/fixtures/preprocess/gray.png'])) scores.push(scored);
        return scores;
      } finally {
        await scorer.close();
      }
    }, 4);
    expect(messages).toContainEqual(expect.stringMatching(/\(tensor head\.1\.weight \[4, 32\]\)/));
  }, 120_000);
});

it('an op outside of a scope leaves nothing behind when it fails', async () => {
  const qkv = Tensor.from(gpu, randoms(60 * 40 * 48, 7), [60, 40, 48]);
  const { liveBuffers } = gpu.pool.statistics;
  const ops = [
    () => attention(qkv, { heads: 2 }),
    () => multiply(qkv, qkv),
    () => toHalf(qkv),
    () => sumOfSquares(qkv),
    () => valueAndGradients(() => sum(multiply(qkv, qkv)), [qkv]).value,
  ];
  for (const op of ops) {
    let failed = 0;
    for (let n = 1; ; n++) {
      gpu.trim();
      refuse(n, n + 1);
      try {
        op().dispose();
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
        failed++;
      } finally {
        unguard!();
      }
      expect(gpu.pool.statistics.liveBuffers, `${op}, ${n}`).toBe(liveBuffers);
    }
    expect(failed, String(op)).toBeGreaterThan(0);
  }
  qkv.dispose();
});

describe('memory', () => {
  it('that is short is made up for from what nobody uses', () => {
    gpu.trim();
    const { heldBytes } = gpu.pool.statistics;
    const spare = gpu.pool.allocate(1 << 20);
    gpu.pool.release(spare);
    refuse(1, 1);
    gpu.pool.release(gpu.pool.allocate(3 << 20));
    expect(gpu.pool.statistics.heldBytes).toBe(heldBytes + (3 << 20));
  });

  it('that is short in a capture is not made up for from what the step has used', async () => {
    gpu.trim();
    const x = Tensor.from(gpu, [3]);
    const spare = gpu.pool.allocate(1 << 20);
    gpu.pool.release(spare);
    const { heldBytes } = gpu.pool.statistics;
    const { recording, value } = gpu.capture(() =>
      scope(() => {
        // Its buffer is free again, but a replay writes to it.
        multiply(x, x).dispose();
        refuse(1, 1);
        const large = Tensor.empty(gpu, [1 << 19]);
        unguard!();
        large.dispose();
        return multiply(x, x);
      }),
    );
    expect(gpu.pool.statistics.heldBytes).toBe(heldBytes + 256 - (1 << 20) + (1 << 21));
    x.write(Float32Array.of(4));
    recording.replay();
    expect(await value.read()).toEqual(Float32Array.of(16));
    for (const tensor of [x, value]) tensor.dispose();
    recording.dispose();
  });

  it('kept for reads is bounded, by size and in all', () => {
    const errors = new DeviceErrors({
      device: gpu.device,
      processor: gpu.adapter.software,
      immediate: true,
      watchdog: 0,
    });
    const staging = new Staging(new DeviceMemory(gpu.device, errors), errors);
    const read = (size: number, times: number) => {
      const taken = Array.from({ length: times }, () => staging.take(size));
      for (const buffer of taken) staging.give(buffer);
    };
    read(1024, 6);
    expect(staging.heldBytes).toBe(4 * 1024);
    const [a, b] = [staging.take(1024), staging.take(1024)];
    expect(a).not.toBe(b);
    expect(staging.heldBytes).toBe(4 * 1024);
    staging.give(a);
    staging.drop(b);
    expect(staging.heldBytes).toBe(3 * 1024);
    read(20 << 20, 2);
    read(10 << 20, 1);
    expect(staging.heldBytes).toBe((50 << 20) + 3 * 1024);
    read(1024, 1);
    // The size used longest ago goes first.
    read(24 << 20, 1);
    expect(staging.heldBytes).toBe((34 << 20) + 3 * 1024);
    read(65 << 20, 1);
    expect(staging.heldBytes).toBe((34 << 20) + 3 * 1024);
    staging.trim();
    expect(staging.heldBytes).toBe(0);
  });
});
