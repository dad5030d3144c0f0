import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mseLoss } from '../autograd/ops/losses.ts';
import { Sgd } from '../autograd/optimizers.ts';
import { keep, scope } from '../autograd/scope.ts';
import { valueAndGradients } from '../autograd/tape.ts';
import { Tensor } from '../autograd/tensor.ts';
import { getOrThrow } from '../common/get-or-throw.ts';
import { openTensorFile, type TensorFile } from '../data/formats/tensor-file.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { ClipAgiqa } from '../model/agiqa.ts';
import type { Clip } from '../model/clip.ts';
import { RegressionHead, readHead } from '../model/head.ts';
import { loadClip } from '../model/load-clip.ts';
import { type Position, promptSlotsFromIds } from '../model/prefix-tree.ts';
import { PromptLearner } from '../model/prompt-learner.ts';
import { figure, maxRelativeError, missing, ofMax, type Results } from './figure.ts';
import { upload } from './upload.ts';

const bars = { features: 2e-5, gradients: 1e-4, losses: 1e-3, parameters: 1e-3 };

/** CLIP-AGIQA's step-0 gradients and 40 SGD steps, for every `train-*.safetensors` of the folder. */
export async function* checkTraining(gpu: Gpu, folder: string): Results {
  const weights = join(folder, 'openai.safetensors');
  const runs = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^train-.*\.safetensors$/.test(name))
        .sort()
    : [];
  if (runs.length === 0 || !existsSync(weights)) {
    yield missing('training');
    return;
  }
  const clip = await loadClip(gpu, weights);
  for (const run of runs) {
    const reference = await openTensorFile(join(folder, run));
    yield* checkRun(gpu, clip, reference, run.replace(/\.safetensors$/, ''));
    await reference.close();
  }
  clip.dispose();
}

/** One run: its reference values, and the model and data that they are of. */
interface Run {
  readonly name: string;
  readonly reference: TensorFile;
  readonly model: ClipAgiqa;
  readonly features: Tensor;
  readonly mos: Tensor;
}

async function* checkRun(gpu: Gpu, clip: Clip, reference: TensorFile, name: string): Results {
  const model = await modelOf(gpu, clip, reference);
  const mos = keep(Tensor.from(gpu, await reference.read('mos')));
  const images = keep(await upload(gpu, reference, 'images'));
  const features = keep(clip.encodeImages(images));
  const expected = await reference.read('image_features');
  yield ofMax(`${name} image_features`, await features.read(), expected, bars.features);
  const run = { name, reference, model, features, mos };
  yield* checkFirstStep(run);
  yield* checkSteps(run);
  model.dispose();
  for (const tensor of [mos, images, features]) tensor.dispose();
}

const gradientsOf = ({ model, features, mos }: Run) =>
  valueAndGradients(() => mseLoss(model.predict(features), mos), [...model.parameters().values()]);

/** What the model computes before it has learned anything, and the gradients there. */
async function* checkFirstStep(run: Run): Results {
  const { name, reference, model, features } = run;
  const text = model.textFeatures();
  const expectedText = await reference.read('step0.text_features');
  yield ofMax(`${name} step 0 text_features`, await text.read(), expectedText, bars.features);
  const prediction = model.predict(features);
  const expected = await reference.read('step0.pred');
  yield ofMax(`${name} step 0 prediction`, await prediction.read(), expected, bars.gradients);
  const { value, gradients } = gradientsOf(run);
  for (const [key, tensor] of model.parameters()) {
    const found = await getOrThrow(gradients, tensor).read();
    const gradient = await reference.read(`step0.grad.${key}`);
    yield ofMax(`${name} step 0 gradient ${key}`, found, gradient, bars.gradients);
  }
  for (const tensor of [text, prediction, value, ...gradients.values()]) tensor.dispose();
}

/** The losses of all steps, and the parameters after the last. */
async function* checkSteps(run: Run): Results {
  const { name, reference, model } = run;
  const parameters = model.parameters();
  const { momentum, weightDecay } = optimizerOf(reference);
  const lrs = await reference.read('lrs');
  const optimizer = new Sgd([...parameters.values()], { lr: lrs[0]!, momentum, weightDecay });
  const losses: number[] = [];
  for (const lr of lrs) {
    optimizer.setLearningRate(lr);
    const loss = scope(() => {
      const { value, gradients } = gradientsOf(run);
      optimizer.step(gradients);
      return value;
    });
    losses.push((await loss.read())[0]!);
    loss.dispose();
  }
  const steps = maxRelativeError(losses, await reference.read('losses'));
  yield figure(`${name} losses of ${lrs.length} steps`, steps, bars.losses, 'relative');
  for (const [key, tensor] of parameters) {
    const final = await reference.read(`final.${key}`);
    yield ofMax(`${name} final ${key}`, await tensor.read(), final, bars.parameters);
  }
  optimizer.dispose();
}

/** The model as the file describes it: token rows laid out as for the class token at the end, and where it truly stands. */
async function modelOf(gpu: Gpu, clip: Clip, reference: TensorFile): Promise<ClipAgiqa> {
  const { position, csc, name_lens: lengths } = reference.metadata;
  const ctx = keep(await upload(gpu, reference, 'ctx'));
  const tokens = Array.from(await reference.read('tokens'));
  const { contextLength } = clip.text.config;
  const prompts = (JSON.parse(lengths!) as number[]).map((length, row) =>
    promptSlotsFromIds(
      tokens.slice(row * contextLength, (row + 1) * contextLength),
      length,
      ctx.dim(-2),
      position as Position,
    ),
  );
  const head = await readHead(async (name) => ({
    shape: getOrThrow(reference.tensors, `head.${name}`).shape,
    data: await reference.read(`head.${name}`),
  }));
  const classSpecific = csc === 'True';
  return new ClipAgiqa(
    new PromptLearner(clip.text, prompts, ctx, { classSpecific }),
    new RegressionHead(gpu, head),
  );
}

/** The metadata says the optimizer in words, e.g. "SGD …, momentum 0.9, weight_decay 5e-4, …". */
function optimizerOf({ metadata }: TensorFile): { momentum: number; weightDecay: number } {
  const number = (name: string) =>
    Number(new RegExp(`${name} ([\\d.e-]+)`).exec(metadata.optimizer ?? '')?.[1] ?? 0);
  return { momentum: number('momentum'), weightDecay: number('weight_decay') };
}
