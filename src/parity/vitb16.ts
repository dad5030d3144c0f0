import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mseLoss } from '../autograd/ops/losses.ts';
import { keep } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { elementCount } from '../common/shape.ts';
import type { HostTensor } from '../data/formats/tensor.ts';
import { openTensorFile, type TensorFile } from '../data/formats/tensor-file.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { ClipAgiqa } from '../model/agiqa.ts';
import type { Clip } from '../model/clip.ts';
import { RegressionHead } from '../model/head.ts';
import { loadClip } from '../model/load-clip.ts';
import { promptSlotsFromIds } from '../model/prefix-tree.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import { generateValues, readWeightsSpec } from '../model/weights/weights-spec.ts';
import { cosine, missing, ofMax, type Results } from './figure.ts';

const bar = 1e-4;
const cosineBar = 1e-6;
const wordLength = 1; // each quality word is one token of CLIP's vocabulary

/** The reference values, the model they are of, and what both are made from. */
interface FullSize {
  readonly gpu: Gpu;
  readonly reference: TensorFile;
  readonly clip: Clip;
  /** Values that are a function of their name. */
  generated(name: string, shape: number[], scale: number): HostTensor;
}

/** A full-size model whose every weight is a function of its name: features, prediction, loss, gradients. */
export async function* checkFullSize(gpu: Gpu, folder: string): Results {
  const spec = join(folder, 'weights.json');
  const expected = join(folder, 'expected.safetensors');
  if (!existsSync(spec) || !existsSync(expected)) {
    yield missing('full-size model');
    return;
  }
  const reference = await openTensorFile(expected);
  const { seed } = await readWeightsSpec(spec);
  const clip = await loadClip(gpu, spec);
  const generated = (name: string, shape: number[], scale: number) => ({
    shape,
    data: generateValues(name, elementCount(shape), { seed, scale }),
  });
  const all: FullSize = { gpu, reference, clip, generated };
  const tokens = Int32Array.from(await reference.read('tokens'));
  const { imageSize } = clip.config.vision;
  const [count] = getOrThrow(reference.tensors, 'image_features').shape as [number];
  const images = place(gpu, generated('input.image', [count, 3, imageSize, imageSize], 2));
  const imageFeatures = keep(clip.encodeImages(images));
  yield* checkFeatures(all, 'image_features', imageFeatures);
  const textFeatures = keep(clip.encodeTokens(tokens));
  yield* checkFeatures(all, 'text_features', textFeatures);
  const [contextLength, width] = getOrThrow(reference.tensors, 'ctx').shape as [number, number];
  const ctx = generated('ctx', [contextLength, width], 0.02);
  yield ofMax('full-size ctx', ctx.data, await reference.read('ctx'), 0);
  const model = modelOf(all, ctx, tokens, imageFeatures.dim(1));
  yield* checkPrediction(all, model, imageFeatures);
  yield* checkGradients(all, model, imageFeatures);
  for (const tensor of [images, imageFeatures, textFeatures]) tensor.dispose();
  model.dispose();
  clip.dispose();
  await reference.close();
}

const place = (gpu: Gpu, { shape, data }: HostTensor) => keep(Tensor.from(gpu, data, shape));

async function* checkFeatures({ reference }: FullSize, name: string, features: Tensor): Results {
  const [values, expected] = [await features.read(), await reference.read(name)];
  yield ofMax(`full-size ${name}`, values, expected, bar);
  yield cosine(`full-size ${name} direction`, values, expected, features.dim(1), cosineBar);
}

/** CLIP-AGIQA with context vectors `ctx` and prompts of these tokens, on image features of a width. */
function modelOf(all: FullSize, ctx: HostTensor, tokens: Int32Array, featureWidth: number): ClipAgiqa {
  const { gpu, reference, clip, generated } = all;
  const { contextLength } = clip.text.config;
  const prompts = Array.from({ length: tokens.length / contextLength }, (_, row) =>
    promptSlotsFromIds(
      [...tokens.subarray(row * contextLength, (row + 1) * contextLength)],
      wordLength,
      ctx.shape[0]!,
      'end',
    ),
  );
  const input = (prompts.length + 1) * featureWidth;
  const [hidden] = getOrThrow(reference.tensors, 'grad_head.1.bias').shape as [number];
  const head = new RegressionHead(gpu, {
    '1.weight': generated('head.1.weight', [hidden, input], input ** -0.5),
    '1.bias': { shape: [hidden], data: new Float32Array(hidden) },
    '4.weight': generated('head.4.weight', [1, hidden], hidden ** -0.5),
    '4.bias': { shape: [1], data: new Float32Array(1) },
  });
  return new ClipAgiqa(
    new PromptLearner(clip.text, prompts, place(gpu, ctx), { classSpecific: false }),
    head,
  );
}

async function* checkPrediction({ reference }: FullSize, model: ClipAgiqa, imageFeatures: Tensor): Results {
  const text = model.textFeatures();
  const expectedText = await reference.read('prompt_text_features');
  yield ofMax('full-size prompt_text_features', await text.read(), expectedText, bar);
  const prediction = model.predict(imageFeatures);
  yield ofMax('full-size prediction', await prediction.read(), await reference.read('pred'), bar);
  for (const tensor of [text, prediction]) tensor.dispose();
}

/** The loss and its gradients: each element, or, of large ones, the norm. */
async function* checkGradients(all: FullSize, model: ClipAgiqa, imageFeatures: Tensor): Results {
  const { gpu, reference } = all;
  const mos = place(gpu, { shape: [imageFeatures.dim(0)], data: await reference.read('mos') });
  const parameters = model.parameters();
  const { value, gradients } = valueAndGradients(
    () => mseLoss(model.predict(imageFeatures), mos),
    [...parameters.values()],
  );
  yield ofMax('full-size loss', await value.read(), await reference.read('loss'), bar);
  for (const [name, tensor] of parameters) {
    const key = `grad_${name}`;
    const values = await getOrThrow(gradients, tensor).read();
    if (reference.tensors.has(key))
      yield ofMax(`full-size gradient ${name}`, values, await reference.read(key), bar);
    if (reference.tensors.has(`${key}.norm`)) {
      const norm = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
      yield ofMax(`full-size gradient ${name}, norm`, [norm], await reference.read(`${key}.norm`), bar);
    }
  }
  for (const tensor of [mos, value, ...gradients.values()]) tensor.dispose();
}
