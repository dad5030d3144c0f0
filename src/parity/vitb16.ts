import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { mseLoss } from '../autograd/ops/losses.ts';
import { keep } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { elementCount } from '../common/shape.ts';
import { openTensorFile } from '../data/formats/tensor-file.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { ClipAgiqa } from '../model/agiqa.ts';
import { Clip } from '../model/clip.ts';
import { RegressionHead } from '../model/head.ts';
import { promptSlotsFromIds } from '../model/prefix-tree.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import { generateValues, readWeightsSpec } from '../model/weights/weights-spec.ts';
import { cosine, missing, ofMax, type Results } from './figure.ts';

const bar = 1e-4;
const cosineBar = 1e-6;
const wordLength = 1; // each quality word is one token of CLIP's vocabulary

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
  const clip = await Clip.load(gpu, spec);
  const generated = (name: string, shape: number[], scale: number) => {
    const count = elementCount(shape);
    return { shape, data: generateValues(name, count, { seed, scale }) };
  };
  const place = ({ shape, data }: { shape: number[]; data: Float32Array }) =>
    keep(Tensor.from(gpu, data, shape));

  const { imageSize } = clip.config.vision;
  const [count] = getOrThrow(reference.tensors, 'image_features').shape as [number, number];
  const images = place(generated('input.image', [count, 3, imageSize, imageSize], 2));
  const imageFeatures = keep(clip.encodeImages(images));
  const tokens = Int32Array.from(await reference.read('tokens'));
  const textFeatures = keep(clip.encodeTokens(tokens));
  for (const [name, tensor] of Object.entries({
    image_features: imageFeatures,
    text_features: textFeatures,
  })) {
    const values = await reference.read(name);
    yield ofMax(`full-size ${name}`, await tensor.read(), values, bar);
    yield cosine(`full-size ${name} direction`, await tensor.read(), values, tensor.dim(1), cosineBar);
  }

  const [nCtx, width] = getOrThrow(reference.tensors, 'ctx').shape as [number, number];
  const ctx = generated('ctx', [nCtx, width], 0.02);
  yield ofMax('full-size ctx', ctx.data, await reference.read('ctx'), 0);
  const rows = clip.text.config.contextLength;
  const prompts = Array.from({ length: tokens.length / rows }, (_, row) =>
    promptSlotsFromIds([...tokens.subarray(row * rows, (row + 1) * rows)], wordLength, nCtx, 'end'),
  );
  const input = (prompts.length + 1) * imageFeatures.dim(1);
  const [hidden] = getOrThrow(reference.tensors, 'grad_head.1.bias').shape as [number];
  const head = new RegressionHead(gpu, {
    '1.weight': generated('head.1.weight', [hidden, input], input ** -0.5),
    '1.bias': { shape: [hidden], data: new Float32Array(hidden) },
    '4.weight': generated('head.4.weight', [1, hidden], hidden ** -0.5),
    '4.bias': { shape: [1], data: new Float32Array(1) },
  });
  const model = new ClipAgiqa(
    new PromptLearner(clip.text, prompts, place(ctx), { classSpecific: false }),
    head,
  );
  const text = model.textFeatures();
  yield ofMax(
    'full-size prompt_text_features',
    await text.read(),
    await reference.read('prompt_text_features'),
    bar,
  );
  const prediction = model.predict(imageFeatures);
  yield ofMax('full-size prediction', await prediction.read(), await reference.read('pred'), bar);
  const mos = place({ shape: [count], data: await reference.read('mos') });
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
  for (const tensor of [
    images,
    imageFeatures,
    textFeatures,
    text,
    prediction,
    mos,
    value,
    ...gradients.values(),
  ])
    tensor.dispose();
  model.dispose();
  clip.dispose();
  await reference.close();
}
