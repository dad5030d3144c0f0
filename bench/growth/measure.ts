/** How time and memory grow with images, prompts, context length and batch, each beside the law that theory expects. */

import { scope } from '../../src/autograd/scope.ts';
import { valueAndGradients } from '../../src/autograd/tape.ts';
import { Tensor } from '../../src/autograd/tensor.ts';
import { uniform } from '../../src/common/random.ts';
import { loadTokenizer } from '../../src/data/tokenizer/vocabulary.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import type { Clip } from '../../src/model/clip.ts';
import { promptSlots } from '../../src/model/prefix-tree.ts';
import { PromptLearner } from '../../src/model/prompt-learner.ts';
import { openGpu } from '../../src/self-check/open.ts';
import { alternate } from '../alternate.ts';
import { generatedClip, trainingSetup } from '../model.ts';
import { stages } from '../schedule.ts';
import type { BenchOptions } from '../section.ts';

export interface GrowthPoint {
  readonly at: number;
  readonly seconds: number;
  /** Of tensors alive at the worst moment, weights left out. */
  readonly bytes: number;
}

/** The straight line nearest to the points, and the largest distance of a point from it as a share of the point. */
export interface Line {
  readonly constant: number;
  readonly perUnit: number;
  readonly worst: number;
}

export interface Growth {
  /** What is done. */
  readonly work: string;
  /** What grows. */
  readonly variable: string;
  readonly timeLaw: string;
  readonly memoryLaw: string;
  readonly points: readonly GrowthPoint[];
  readonly time: Line;
  readonly memory: Line;
}

/** The section `growth` of the results. */
export interface GrowthResults {
  readonly tables: readonly Growth[];
}

/** Two to five minutes on a software adapter. */
export async function measureGrowth({ quick, progress }: BenchOptions): Promise<GrowthResults> {
  const gpu = await openGpu();
  const rounds = quick ? 1 : 3;
  try {
    const tables: Growth[] = [];
    const stage = stages(progress, [25, 70, 15, 10, 10]);
    stage('growth with images');
    let clip = await generatedClip(gpu, { text: false });
    tables.push(await images(gpu, clip, quick ? [1, 2, 3] : [1, 2, 4]));
    stage('growth with the batch of the encoder');
    tables.push(await encoderBatch(gpu, clip, quick ? [1, 2, 4] : [1, 2, 4, 8, 16], quick ? 1 : 2));
    clip.dispose();
    gpu.pool.trim();
    clip = await generatedClip(gpu, { vision: false });
    stage('growth with prompts');
    tables.push(await prompts(gpu, clip, [2, 6, 12, 24, 48], rounds));
    stage('growth with the context length');
    tables.push(await contextLength(gpu, clip, [4, 16, 32, 64], rounds));
    stage('growth with the batch of the step');
    tables.push(await stepBatch(gpu, clip, [8, 32, 128, 512], quick));
    clip.dispose();
    return { tables };
  } finally {
    gpu.close();
  }
}

function growth(
  [work, variable]: readonly [string, string],
  [timeLaw, memoryLaw]: readonly [string, string],
  points: readonly GrowthPoint[],
): Growth {
  const line = (values: readonly number[]) =>
    fitLine(
      points.map(({ at }) => at),
      values,
    );
  const time = line(points.map(({ seconds }) => seconds));
  return { work, variable, timeLaw, memoryLaw, points, time, memory: line(points.map(({ bytes }) => bytes)) };
}

/** Least squares of the relative distances, so that the small points count as much as the large ones. */
export function fitLine(x: readonly number[], y: readonly number[]): Line {
  let [s, sx, sxx, sy, sxy] = [0, 0, 0, 0, 0];
  for (const [i, at] of x.entries()) {
    const weight = 1 / y[i]! ** 2;
    s += weight;
    sx += weight * at;
    sxx += weight * at * at;
    sy += weight * y[i]!;
    sxy += weight * at * y[i]!;
  }
  const perUnit = (s * sxy - sx * sy) / (s * sxx - sx * sx);
  const constant = (sy - perUnit * sx) / s;
  const worst = Math.max(...x.map((at, i) => Math.abs(constant + perUnit * at - y[i]!) / y[i]!));
  return { constant, perUnit, worst };
}

/** The bytes alive at the worst moment of each way, and its least seconds; the ways take turns. */
async function measure(
  gpu: Gpu,
  ways: ReadonlyMap<number, () => void>,
  rounds: number,
): Promise<GrowthPoint[]> {
  const bytes = [...ways.values()].map((run) => {
    // Free texels that are larger than need be would be used, and counted.
    gpu.pool.trim();
    gpu.pool.resetPeak();
    const before = gpu.pool.statistics.liveBytes;
    run();
    return gpu.pool.statistics.peakBytes - before;
  });
  const times = await alternate(gpu, Object.fromEntries(ways), rounds, { compiled: true });
  return [...ways.keys()].map((at, i) => ({ at, seconds: times[at]! / 1000, bytes: bytes[i]! }));
}

/** Encodes a batch of images made of noise. */
function encoder(gpu: Gpu, { vision }: Clip, batch: number): () => void {
  const words = (vision.config.imageSize ** 2 * 3) / 4;
  const noise = Uint32Array.from({ length: batch * words }, (_, i) => Math.imul(i, 0x9e3779b1));
  return () =>
    scope(() => {
      const pixels = Tensor.from(gpu, noise, [batch, words]);
      return vision.features(vision.patchesFromBytes(pixels));
    }).dispose();
}

async function images(gpu: Gpu, clip: Clip, batches: readonly number[]): Promise<Growth> {
  const batch = 8;
  const encode = encoder(gpu, clip, batch);
  const times = (count: number) => () => {
    for (let i = 0; i < count; i++) encode();
  };
  return growth(
    ['encoding in batches of 8', 'images'],
    ['linear: each image is encoded once', 'constant: one batch at a time'],
    await measure(gpu, new Map(batches.map((count) => [count * batch, times(count)])), 1),
  );
}

async function encoderBatch(gpu: Gpu, clip: Clip, sizes: readonly number[], rounds: number): Promise<Growth> {
  return growth(
    ['encoding one batch', 'images in the batch'],
    ['linear, plus a constant for reading the weights', 'linear: 7 widths per token, and the images'],
    await measure(gpu, new Map(sizes.map((batch) => [batch, encoder(gpu, clip, batch)])), rounds),
  );
}

/** Forward and backward of the text side, for prompts of these words and context length. */
async function textSide(gpu: Gpu, clip: Clip, words: readonly string[], nCtx: number) {
  const { width, outputWidth } = clip.text.config;
  const tokenizer = await loadTokenizer();
  const values = (count: number, stream: number) =>
    Float32Array.from({ length: count }, (_, i) => 0.06 * (uniform(1, stream, i) - 0.5));
  const ctx = Tensor.from(gpu, values(nCtx * width, 1), [nCtx, width]);
  const dy = Tensor.from(gpu, values(words.length * outputWidth, 2), [words.length, outputWidth]);
  const slots = words.map((word) => promptSlots(tokenizer, word, nCtx, 'end'));
  const learner = new PromptLearner(clip.text, slots, ctx, { classSpecific: false });
  return {
    run: () =>
      scope(() => {
        valueAndGradients(() => learner.features(), [ctx], dy);
      }),
    dispose() {
      for (const resource of [learner, ctx, dy]) resource.dispose();
    },
  };
}

/** Distinct words of one token each. */
async function oneTokenWords(count: number): Promise<string[]> {
  const tokenizer = await loadTokenizer();
  const candidates =
    'terrible bad poor average good perfect nice great fine sharp soft dark bright clean dirty noisy flat deep rich pale warm cold real fake old new big small red blue green black white gray long short high low fast slow hard easy loud quiet strong weak thick thin wide narrow smooth rough wet dry hot cool'.split(
      ' ',
    );
  const words = candidates.filter((word) => tokenizer.encode(word).length === 1).slice(0, count);
  if (words.length < count) throw new Error(`only ${words.length} words of one token are known`);
  return words;
}

/** The text side for several sizes, all at hand at once. */
async function textSides(
  gpu: Gpu,
  clip: Clip,
  sizes: readonly number[],
  of: (size: number) => { readonly prompts: number; readonly nCtx: number },
  rounds: number,
): Promise<GrowthPoint[]> {
  const sides = new Map<number, Awaited<ReturnType<typeof textSide>>>();
  for (const size of sizes) {
    const { prompts, nCtx } = of(size);
    sides.set(size, await textSide(gpu, clip, await oneTokenWords(prompts), nCtx));
  }
  const measured = await measure(gpu, new Map([...sides].map(([size, { run }]) => [size, run])), rounds);
  for (const { dispose } of sides.values()) dispose();
  return measured;
}

async function prompts(gpu: Gpu, clip: Clip, counts: readonly number[], rounds: number): Promise<Growth> {
  return growth(
    ['prompts forward and backward, 16 context vectors', 'prompts'],
    [
      'linear in the 17 + 3 rows per prompt, plus a constant for the shared rows and for reading the weights',
      'linear in the rows; padded it would be 77 per prompt',
    ],
    await textSides(gpu, clip, counts, (count) => ({ prompts: count, nCtx: 16 }), rounds),
  );
}

async function contextLength(
  gpu: Gpu,
  clip: Clip,
  lengths: readonly number[],
  rounds: number,
): Promise<Growth> {
  return growth(
    ['six prompts forward and backward', 'context vectors'],
    [
      'linear in the 19 + n rows (attention, quadratic, is below 2% here), plus a constant for reading the weights',
      'linear in the rows',
    ],
    await textSides(gpu, clip, lengths, (nCtx) => ({ prompts: 6, nCtx }), rounds),
  );
}

async function stepBatch(gpu: Gpu, clip: Clip, sizes: readonly number[], quick: boolean): Promise<Growth> {
  const steps = 4;
  const measured: GrowthPoint[] = [];
  for (const batchSize of sizes) {
    const before = gpu.pool.statistics.liveBytes;
    gpu.pool.resetPeak();
    const setup = await trainingSetup(gpu, clip, { steps, epochs: quick ? 2 : 4, batchSize });
    const { records } = await setup.loop.run({ epoch: 0, records: [], best: null });
    const bytes = gpu.pool.statistics.peakBytes - before;
    setup.dispose();
    gpu.pool.trim();
    const seconds = Math.min(...records.slice(1).map((record) => record.seconds)) / steps;
    measured.push({ at: batchSize, seconds, bytes });
  }
  return growth(
    ['training step with cached features', 'images in the batch'],
    ['constant (the text side) and a small linear part (the head)', 'constant and a small linear part'],
    measured,
  );
}
