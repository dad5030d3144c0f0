/**
 * The training job at ViT-B/16's size: the step with cached features, what is spared by computing nothing twice (each with
 * its exactness), memory against what it must be at least, and the whole recipe by extrapolation.
 */

import { availableParallelism } from 'node:os';
import type { Operand } from '../../src/autograd/op.ts';
import { keep, scope } from '../../src/autograd/scope.ts';
import { Tensor } from '../../src/autograd/tensor.ts';
import { elementCount } from '../../src/common/shape.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import type { Clip } from '../../src/model/clip.ts';
import type { Parameters } from '../../src/model/weights/parameters.ts';
import { openGpu } from '../../src/self-check/open.ts';
import type { Learner } from '../../src/training/learner.ts';
import { ClipAgiqaLearner } from '../../src/training/learners/clip-agiqa.ts';
import { alternate } from '../alternate.ts';
import { generatedClip, trainingSetup } from '../model.ts';
import { measurePyTorch, type PyTorch } from '../pytorch.ts';
import { stages } from '../schedule.ts';
import type { BenchOptions } from '../section.ts';
import { type Comparison, compareHeads, compareLastBlock, comparePrompts } from './shortcuts.ts';

/** The published recipe on AGIQA-3K: images, epochs, batch. */
const recipe = { trainingImages: 2385, testImages: 597, epochs: 100, batch: 32 };

/** What a part of the job holds on the GPU, in bytes. */
export interface Memory {
  /** Least that any program could hold: the weights it reads, and the activations alive at the worst moment. */
  readonly minimum: number;
  /** Of tensors alive at once. */
  readonly peak: number;
  /** Of buffers held on the device, free ones of the pool included. */
  readonly held: number;
}

/** The whole recipe in seconds, from measured parts. */
export interface Recipe {
  /** Random crops an image that are encoded once and kept; 0: each step encodes again, as published. */
  readonly views: number;
  readonly encodings: number;
  readonly encodingSeconds: number;
  readonly stepSeconds: number;
  readonly seconds: number;
  /** How many times longer PyTorch's published encodings take, where PyTorch was measured. */
  readonly timesFasterThanPyTorch?: number;
}

/** The section `train` of the results. */
export interface TrainResults {
  readonly batch: number;
  readonly step: {
    readonly seconds: number;
    /** Processor time over the number of cores: less than the other where another program took part of the time. */
    readonly processorSeconds: number;
    readonly stepsPerSecond: number;
    readonly dispatches: number;
  };
  /** Six prompts through the text tower, forward and backward: prefix tree against six sequences of 77. */
  readonly packedPrompts: Comparison & {
    readonly rows: number;
    readonly paddedRows: number;
    readonly gradientError: number;
  };
  /** The last block of the image tower, batch 8: class token alone against all tokens. */
  readonly classTokenBlock: Comparison;
  /** Scores of 32 images with the text features folded into the head against the whole model: largest difference. */
  readonly foldedHead: Comparison;
  readonly encodingSecondsPerImage: number;
  readonly memory: { readonly encoding: Memory; readonly training: Memory };
  readonly recipe: readonly Recipe[];
  readonly pytorch: PyTorch | null;
}

/** Minutes on a software adapter. */
export async function measureTrain({ quick, python, progress }: BenchOptions): Promise<TrainResults> {
  const stage = stages(progress, [...(python ? [60] : []), 35, 20, 20, 40]);
  let pytorch: PyTorch | null = null;
  if (python) {
    stage('PyTorch');
    pytorch = await measurePyTorch(python, quick);
  }
  const gpu = await openGpu();
  try {
    stage('encoding images');
    let clip = await generatedClip(gpu, { text: false });
    const encoding = await encodingTime(gpu, clip, quick ? 1 : 3);
    stage('class token against all tokens');
    const classToken = await compareLastBlock(gpu, clip, quick ? 2 : 5);
    clip.dispose();
    gpu.pool.trim();
    gpu.pool.resetPeak();
    stage('training steps');
    clip = await generatedClip(gpu, { vision: false });
    const training = await trainingTime(gpu, clip, quick);
    stage('packed against padded prompts');
    const packed = await comparePrompts(gpu, clip, quick ? 1 : 3);
    clip.dispose();
    return {
      batch: recipe.batch,
      step: training.step,
      packedPrompts: packed,
      classTokenBlock: classToken,
      foldedHead: training.folded,
      encodingSecondsPerImage: encoding.seconds,
      memory: { encoding: encoding.memory, training: training.memory },
      recipe: [1, 2, 4, 0].map((views) =>
        extrapolate(views, encoding.seconds, training.step.seconds, pytorch),
      ),
      pytorch,
    };
  } finally {
    gpu.close();
  }
}

/** As float32, packed or not. */
const bytesOf = (weights: Iterable<Operand>) =>
  [...weights].reduce((bytes, { shape }) => bytes + 4 * elementCount(shape), 0);

/** Of all weights of a tower. */
const weightBytes = (parameters: Parameters) =>
  bytesOf([...parameters.weights()].map(([, weight]) => weight));

async function encodingTime(gpu: Gpu, clip: Clip, rounds: number) {
  const { vision } = clip;
  const weights = weightBytes(vision.parameters);
  const { imageSize, patchSize, width } = vision.config;
  const batch = 8;
  const patches = (imageSize / patchSize) ** 2;
  const pixels = keep(
    Tensor.from(
      gpu,
      new Uint32Array((batch * imageSize ** 2 * 3) / 4).map((_, i) => i * 2654435761),
      [batch, (imageSize ** 2 * 3) / 4],
    ),
  );
  gpu.pool.resetPeak();
  const { features } = await alternate(
    gpu,
    { features: () => scope(() => vision.features(vision.patchesFromBytes(pixels))).dispose() },
    rounds,
  );
  const { peakBytes, heldBytes } = gpu.pool.statistics;
  pixels.dispose();
  // Alive at once in a block: its input, the normalized rows, and the MLP's hidden rows of four widths.
  const minimum = weights + 4 * batch * (patches + 1) * width * 6;
  return { seconds: features / 1000 / batch, memory: { minimum, peak: peakBytes, held: heldBytes } };
}

/** Seconds of a step in the training loop itself: the best epoch's mean, batch upload and submission included. */
async function trainingTime(gpu: Gpu, clip: Clip, quick: boolean) {
  const epochs = quick ? 2 : 5;
  const steps = 8;
  const weights = trainedWeightBytes(clip);
  const { loop, learner, dispose } = await trainingSetup(gpu, clip, { steps, epochs: epochs + 1 });
  let before = 0;
  let dispatches = 0;
  let step = 0;
  let spent = process.cpuUsage();
  let processor = Number.POSITIVE_INFINITY;
  const { records } = await loop.run(
    { epoch: 0, records: [], best: null },
    {
      step() {
        dispatches = gpu.counters.dispatches - before;
        before = gpu.counters.dispatches;
        step++;
      },
      epoch(_state, { epoch }) {
        const { user, system } = process.cpuUsage(spent);
        spent = process.cpuUsage();
        // The first one compiles.
        if (epoch > 1)
          processor = Math.min(processor, (user + system) / 1e6 / steps / availableParallelism());
      },
    },
  );
  const { peakBytes, heldBytes } = gpu.pool.statistics;
  // Beside the weights: of what learns the value, the gradient and the momentum; and what the gradient reads of each block:
  // x, q, k, v, the heads' output, x again and the hidden rows, 10 widths a row.
  const learned = bytesOf([...learner.parameters().values()]);
  const { width, layers } = clip.text.config;
  const minimum = weights + 3 * learned + 4 * layers * packedRows(learner) * 10 * width;
  const folded = await compareHeads(gpu, learner, recipe.batch, quick ? 3 : 10);
  dispose();
  const seconds = Math.min(...records.slice(1).map((record) => record.seconds)) / steps;
  if (step !== steps * (epochs + 1)) throw new Error(`${step} steps were taken`);
  return {
    step: { seconds, processorSeconds: processor, stepsPerSecond: 1 / seconds, dispatches },
    memory: { minimum, peak: peakBytes, held: heldBytes },
    folded,
  };
}

/** Bytes of the weights that a training step reads: the text tower without its table of tokens. */
const trainedWeightBytes = ({ text }: Clip) =>
  weightBytes(text.parameters) - bytesOf([text.parameters.get('token_embedding.weight')]);

function packedRows(learner: Learner): number {
  if (!(learner instanceof ClipAgiqaLearner)) throw new Error('the default trainer is not CLIP-AGIQA');
  return learner.model.prompts.tree.slots.length;
}

function extrapolate(views: number, encoding: number, step: number, pytorch: PyTorch | null): Recipe {
  const { trainingImages, testImages, epochs, batch } = recipe;
  const encodings = trainingImages * (views || epochs) + testImages;
  const encodingSeconds = encodings * encoding;
  const stepSeconds = epochs * Math.floor(trainingImages / batch) * step;
  const seconds = encodingSeconds + stepSeconds;
  return {
    views,
    encodings,
    encodingSeconds,
    stepSeconds,
    seconds,
    ...(pytorch && {
      timesFasterThanPyTorch: (trainingImages * epochs) / pytorch.imagesPerSecond / seconds,
    }),
  };
}
