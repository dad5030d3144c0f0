import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stringify as toYaml } from 'yaml';
import type { Tensor } from '../autograd/tensor.ts';
import { UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import { openFeatureCache } from '../data/feature-cache.ts';
import { float32ToFloat16 } from '../data/float16.ts';
import { type TensorData, writeSafetensors } from '../data/safetensors.ts';
import { openTensorFile } from '../data/tensor-file.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../kernels/gpu.ts';
import { Clip } from '../model/clip.ts';
import { type ClipConfig, clipDefaults, type TextConfig } from '../model/config.ts';
import { featureStatistics } from '../model/feature-scaling.ts';
import { initialWeights } from '../model/initial-weights.ts';
import { weightsId } from '../model/weights-id.ts';
import { joinParts, readParts, restore, toHost } from '../training/checkpoint.ts';
import { templatePrompts } from '../training/create-learner.ts';
import { pictureEncoder } from '../training/encoders.ts';
import { PictureFeatures } from '../training/picture-features.ts';
import type { Reporter } from '../training/reporter.ts';
import { fields } from '../training/settings.ts';
import { PretrainingLoop, type PretrainingState, type StepRecord } from './loop.ts';
import { PretrainingModel } from './model.ts';
import { readPairs } from './pairs.ts';
import type { PretrainingSettings } from './settings.ts';
import { startFromSpectra } from './spectral-weights.ts';
import { CaptionTokens } from './tokens.ts';
import { drawViews, type View } from './views.ts';

const contextLength = 77;
const format = 'clip-agiqa-webgpu pretraining checkpoint 1';

/** What a finished run leaves, also written as summary.json. */
export interface PretrainingSummary {
  readonly folder: string;
  readonly settings: PretrainingSettings;
  readonly adapter: string;
  readonly pictures: number;
  readonly views: number;
  /** Training pictures left out because a held-out picture has the same bytes. */
  readonly excluded: readonly string[];
  readonly parameters: number;
  readonly steps: number;
  readonly last: StepRecord | null;
  readonly seconds: number;
}

/** The architecture the settings describe: CLIP's, 64 wide a head, QuickGELU. */
export function pretrainingConfig(
  settings: Pick<
    PretrainingSettings,
    'imageSize' | 'patchSize' | 'visionWidth' | 'visionLayers' | 'textWidth' | 'textLayers' | 'embedding'
  >,
  vocabSize: number,
): ClipConfig & { readonly text: TextConfig } {
  const { imageSize, patchSize, embedding } = settings;
  const tower = (name: string, width: number, layers: number) => {
    if (width < 64 || width % 64 !== 0 || layers < 1)
      throw new UserError(
        `${name} of width ${width} with ${layers} blocks`,
        'Widths are multiples of 64 (the width of a head), and there is at least one block.',
      );
    const { activation, layerNormEps } = clipDefaults;
    return { width, layers, heads: width / 64, mlpWidth: 4 * width, activation, layerNormEps };
  };
  if (patchSize < 1 || imageSize % patchSize !== 0)
    throw new UserError(`--image-size ${imageSize} is no multiple of --patch-size ${patchSize}`);
  const { mean, std } = clipDefaults;
  return {
    vision: {
      ...tower('an image tower', settings.visionWidth, settings.visionLayers),
      imageSize,
      patchSize,
      preNorm: true,
      patchBias: false,
      outputWidth: embedding,
      mean,
      std,
    },
    text: {
      ...tower('a text tower', settings.textWidth, settings.textLayers),
      contextLength,
      vocabSize,
      outputWidth: embedding,
    },
  };
}

/** Pre-trains a CLIP as `settings` say; leaves its weights, checkpoints and losses in the run's folder. */
export async function pretrainRun(
  gpu: Gpu,
  settings: PretrainingSettings,
  { resume, reporter }: { readonly resume: boolean; readonly reporter: Reporter },
): Promise<PretrainingSummary> {
  const began = performance.now();
  const file = (name: string) => join(settings.out, name);
  const tokenizer = await Tokenizer.load();
  const config = pretrainingConfig(settings, tokenizer.vocabSize);
  const checkpoint = file('checkpoint.safetensors');
  if (!resume && existsSync(checkpoint))
    throw new UserError(
      `${settings.out} holds a run already`,
      'Go on from it with --resume, or choose another folder with --out.',
    );
  const { pairs, thresholds, excluded } = await readPairs(settings, { reporter });
  const views = drawViews(pairs, thresholds, settings);
  reporter.line(
    `data       ${pairs.length} pictures, ${views.length} views${excluded.length > 0 ? `; ${excluded.length} left out, byte for byte the same as a held-out picture` : ''}`,
  );
  // The zero-shot trainer's default, so that a model learns what it will be asked.
  const words = templatePrompts(fields.template.value);
  const captions = views.map(({ caption }) => caption);
  const tokens = new CaptionTokens(tokenizer, captions, words, contextLength);
  // Before the teacher's minutes, since it refuses some towers.
  const start = initialWeights(config, settings.seed);
  if (settings.start === 'spectral') startFromSpectra(start, config.vision);
  const { teacher, teacherWidth } = await teacherFeatures(gpu, views, settings, reporter);
  const model = new PretrainingModel(gpu, config, start, {
    textLength: tokens.length,
    teacherWidth,
    seed: settings.seed,
  });
  const loop = new PretrainingLoop(gpu, model, { views, tokens, teacher, teacherWidth }, settings);
  const parameters = [...model.weights().values()].reduce((sum, { size }) => sum + size, 0);
  reporter.line(`model      ${parameters.toLocaleString('en')} parameters`);
  let state: PretrainingState = { step: 0, records: [] };
  if (resume) state = await readState(checkpoint, model.state(), loop.optimizerState(), settings);
  await writeOutput(file('config.yaml'), toYaml(settings));
  const bar = reporter.bar('pre-training, steps', loop.steps - state.step);
  state = await loop.run(state, {
    step: () => bar.advance(),
    record: async (at, record) => {
      await writeState(checkpoint, model.state(), loop.optimizerState(), at, settings);
      const lines = at.records.map((line) => `${JSON.stringify(line)}\n`);
      await writeOutput(file('metrics.jsonl'), lines.join(''));
      reporter.line(recordText(record, loop.steps));
    },
  });
  bar.stop();
  await writeWeights(file('model.safetensors'), model.weights(), settings);
  const summary: PretrainingSummary = {
    folder: settings.out,
    settings,
    adapter: gpu.adapter.name,
    pictures: pairs.length,
    views: views.length,
    excluded,
    parameters,
    steps: state.step,
    last: state.records.at(-1) ?? null,
    seconds: (performance.now() - began) / 1000,
  };
  await writeOutput(file('summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  loop.dispose();
  model.dispose();
  return summary;
}

/** The teacher's features of every view, each number standardised over the views. */
async function teacherFeatures(
  gpu: Gpu,
  views: readonly View[],
  settings: PretrainingSettings,
  reporter: Reporter,
): Promise<{ teacher: Float32Array | null; teacherWidth: number }> {
  if (settings.teacher === '') return { teacher: null, teacherWidth: 0 };
  const clip = await Clip.load(gpu, settings.teacher, { text: false });
  const { imageSize } = clip.vision.config;
  if (imageSize !== settings.imageSize)
    throw new UserError(
      `the teacher takes pictures of ${imageSize} pixels, the model of ${settings.imageSize}`,
      'Choose the same --image-size.',
    );
  const encoder = pictureEncoder(clip.vision, await weightsId(settings.teacher), {
    trainer: 'image-only',
    layers: settings.teacherLayers,
    pool: 'stats',
    weightType: 'float32',
  });
  const { width } = encoder;
  const cache = await openFeatureCache(settings.cache, { width });
  const pictures = new PictureFeatures(gpu, clip.vision, encoder, { batch: settings.encodeBatch, cache });
  const teacher = new Float32Array(views.length * width);
  const bar = reporter.bar("the teacher's features", views.length);
  for await (const result of pictures.encode(views.map(({ job }) => job))) {
    if ('error' in result) throw new UserError(result.error, 'Mend or remove the picture.');
    teacher.set(result.feature, result.index * width);
    bar.advance();
  }
  bar.stop();
  await pictures.close();
  clip.dispose();
  standardize(teacher, width);
  return { teacher, teacherWidth: width };
}

/** Shifts and scales each column of rows of `width` to mean 0 and deviation 1, in place. */
export function standardize(rows: Float32Array, width: number): void {
  const { mean, deviation } = featureStatistics([rows], width);
  for (let i = 0; i < rows.length; i++)
    rows[i] = (rows[i]! - mean[i % width]!) / (deviation[i % width]! || 1);
}

async function writeState(
  path: string,
  parameters: ReadonlyMap<string, Tensor>,
  optimizer: ReadonlyMap<string, Tensor>,
  state: PretrainingState,
  settings: PretrainingSettings,
): Promise<void> {
  // Read back one at a time: moments are twice the size of the model.
  const lazily = (tensors: ReadonlyMap<string, Tensor>) =>
    new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: () => tensor.read() }]));
  const parts = { parameters: lazily(parameters), optimizer: lazily(optimizer) };
  await writeSafetensors(path, joinParts(parts), {
    format,
    settings: JSON.stringify(settings),
    state: JSON.stringify(state),
  });
}

/** Settings that may differ when a run goes on: they change where results go and when, not what is learned. */
const free = ['out', 'cache', 'checkpointEvery', 'tune', 'encodeBatch', 'root'] as const;

async function readState(
  path: string,
  parameters: ReadonlyMap<string, Tensor>,
  optimizer: ReadonlyMap<string, Tensor>,
  settings: PretrainingSettings,
): Promise<PretrainingState> {
  if (!existsSync(path))
    throw new UserError(`${path}: there is nothing to resume`, 'Leave --resume out, or check --out.');
  const file = await openTensorFile(path);
  try {
    const { metadata } = file;
    if (metadata.format !== format) throw new UserError(`${path} is not a checkpoint of pre-training`);
    const before = JSON.parse(metadata.settings!) as Record<string, unknown>;
    for (const [name, value] of Object.entries(settings))
      if (!(free as readonly string[]).includes(name) && before[name] !== value)
        throw new UserError(
          `${path} was trained with ${name} ${JSON.stringify(before[name])}, not ${JSON.stringify(value)}`,
          'Resume with the settings of the run (its config.yaml), or begin another with --out.',
        );
    restore(parameters, (await readParts(file, ['parameters'])).parameters, path);
    restore(optimizer, (await readParts(file, ['optimizer'])).optimizer, path);
    return JSON.parse(metadata.state!) as PretrainingState;
  } finally {
    await file.close();
  }
}

/** The CLIP in OpenAI's names and float16, as every loader reads it; with the recipe, but not where on this machine it was made. */
async function writeWeights(
  path: string,
  weights: ReadonlyMap<string, Tensor>,
  settings: PretrainingSettings,
): Promise<void> {
  const tensors = new Map<string, TensorData>();
  for (const [name, { shape, data }] of await toHost(weights))
    tensors.set(name, { dtype: 'F16', shape, data: float32ToFloat16(data) });
  const { root, out, cache, ...recipe } = settings;
  await writeSafetensors(path, tensors, { recipe: JSON.stringify(recipe) });
}

function recordText(record: StepRecord, steps: number): string {
  const { step, lr, contrastive, distillation, quality, picturesPerSecond } = record;
  const parts = [
    `step ${step}/${steps}`,
    `lr ${lr.toExponential(2)}`,
    `contrastive ${contrastive.toFixed(4)}`,
  ];
  if (distillation !== null) parts.push(`distillation ${distillation.toFixed(4)}`);
  if (quality !== null) parts.push(`quality ${quality.toFixed(5)}`);
  parts.push(`${picturesPerSecond.toFixed(1)} pictures/s`);
  return parts.join('  ');
}
