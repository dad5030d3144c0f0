import { uniform } from '../src/common/random.ts';
import { elementCount } from '../src/common/shape.ts';
import { loadTokenizer } from '../src/data/tokenizer/vocabulary.ts';
import { StoredFeatures } from '../src/features/feature-source.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { Clip, type ClipOptions } from '../src/model/clip.ts';
import { type ClipConfig, canonicalShapes, clipDefaults } from '../src/model/config.ts';
import type { WeightValues } from '../src/model/weights/weights.ts';
import { generateValues } from '../src/model/weights/weights-spec.ts';
import { createLearner } from '../src/training/create-learner.ts';
import type { Learner } from '../src/training/learner.ts';
import { type LoopOptions, TrainingLoop } from '../src/training/loop.ts';
import { defaultSettings, type Settings } from '../src/training/settings.ts';

const { mean, std } = clipDefaults;
const transformer = { layers: 12, activation: 'quick_gelu', layerNormEps: 1e-5 } as const;

/** The sizes of CLIP ViT-B/16 (Radford et al., arXiv 2103.00020, table 20). */
export const vitB16: ClipConfig = {
  vision: {
    ...transformer,
    width: 768,
    heads: 12,
    mlpWidth: 3072,
    imageSize: 224,
    patchSize: 16,
    preNorm: true,
    patchBias: false,
    outputWidth: 512,
    mean,
    std,
  },
  text: {
    ...transformer,
    width: 512,
    heads: 8,
    mlpWidth: 2048,
    contextLength: 77,
    vocabSize: 49408,
    outputWidth: 512,
  },
};

/**
 * Weights that are a function of their names, so that a bench needs no file: matrices uniform with a standard deviation
 * of 1/sqrt(inputs), which keeps activations in the range of a trained model's; norms 1, biases small.
 */
export function generatedWeights(config: ClipConfig = vitB16): WeightValues {
  const shapes = canonicalShapes(config);
  const names = [...shapes.keys()];
  const shape = (name: string) => shapes.get(name)!;
  const values = (name: string): Float32Array => {
    const sizes = shape(name);
    const count = elementCount(sizes);
    const seed = 1;
    if (/ln_\w+\.weight$/.test(name)) return new Float32Array(count).fill(1);
    if (name === 'logit_scale') return Float32Array.of(Math.log(100));
    if (/bias$/.test(name)) return generateValues(name, count, { seed, scale: 0.02 });
    const inputs = /embedding/.test(name)
      ? 1 / 0.02 ** 2
      : /proj(ection)?$/.test(name)
        ? sizes[0]!
        : count / sizes[0]!;
    return generateValues(name, count, { seed, scale: Math.sqrt(3 / inputs) });
  };
  return {
    config,
    names: () => names,
    has: (name) => shapes.has(name),
    shape,
    read: async (name) => values(name),
  };
}

/** A CLIP of ViT-B/16's size on the GPU. */
export const generatedClip = (gpu: Gpu, options: ClipOptions = {}): Promise<Clip> =>
  Clip.from(gpu, generatedWeights(), options);

/** CLIP-AGIQA on cached features, ready to train: what `train.js` makes of its settings once the images are encoded. */
export interface TrainingSetup {
  readonly settings: Settings;
  readonly learner: Learner;
  readonly loop: TrainingLoop;
  dispose(): void;
}

/** `steps` steps an epoch on random features. */
export async function trainingSetup(
  gpu: Gpu,
  clip: Clip,
  options: Partial<Settings> & { readonly steps: number },
  loopOptions: LoopOptions = {},
): Promise<TrainingSetup> {
  const { steps, ...given } = options;
  const settings: Settings = { ...defaultSettings(), ...given };
  const width = clip.text.config.outputWidth;
  const count = steps * settings.batchSize;
  const rows = new Map(
    Array.from({ length: count }, (_, sample) => [
      sample,
      Float32Array.from({ length: width }, (_, i) => uniform(settings.seed, 31, sample * width + i) - 0.5),
    ]),
  );
  const features = new StoredFeatures(width, 1, rows);
  const mos = Float32Array.from({ length: count }, (_, sample) => 5 * uniform(settings.seed, 32, sample));
  const scale = { centers: Float32Array.from({ length: 6 }, (_, i) => i), range: [0, 5] as const };
  const learner = createLearner(clip, await loadTokenizer(), width, settings, scale, () => {
    throw new Error('these features are not scaled');
  });
  const none = new Int32Array();
  const loop = new TrainingLoop(
    gpu,
    learner,
    {
      train: Int32Array.from(mos.keys()),
      val: none,
      test: none,
      mos,
      classes: new Uint32Array(count),
      trainFeatures: features,
      testFeatures: features,
    },
    settings,
    loopOptions,
  );
  return {
    settings,
    learner,
    loop,
    dispose() {
      loop.dispose();
      learner.dispose();
    },
  };
}
