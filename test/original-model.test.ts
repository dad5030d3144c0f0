import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { keep } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { openTensorFile, type TensorFile } from '../src/data/formats/tensor-file.ts';
import { writeTorchScript } from '../src/data/formats/torchscript-writer.ts';
import { ClipAgiqa } from '../src/model/agiqa.ts';
import { RegressionHead, readHead } from '../src/model/head.ts';
import { loadClip } from '../src/model/load-clip.ts';
import { type Position, promptSlotsFromIds, type Slot } from '../src/model/prefix-tree.ts';
import { PromptLearner } from '../src/model/prompt-learner.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const tiny = fileURLToPath(new URL('./fixtures/reference/tiny', import.meta.url));
const weights = join(tiny, 'openai.safetensors');
const published = join(tiny, 'original-checkpoint');
const folder = temporaryFolder('original-model');

async function array(file: TensorFile, name: string) {
  return { shape: file.tensors.get(name)!.shape, data: await file.read(name) };
}

/** The reference run's prompts, and its images' features with what the whole model predicts of them. */
async function reference(run: TensorFile) {
  const gpu = await sharedGpu();
  const clip = await loadClip(gpu, weights);
  const ctx = await array(run, 'final.ctx');
  const tokens = [...(await run.read('tokens'))];
  const position = run.metadata.position as Position;
  const prompts: Slot[][] = (JSON.parse(run.metadata.name_lens!) as number[]).map((length, row) =>
    promptSlotsFromIds(tokens.slice(row * 77, (row + 1) * 77), length, ctx.shape.at(-2)!, position),
  );
  const head = await readHead((name) => array(run, `final.head.${name}`));
  const learner = new PromptLearner(clip.text, prompts, keep(Tensor.from(gpu, ctx.data, ctx.shape)), {
    classSpecific: ctx.shape.length === 3,
  });
  const model = new ClipAgiqa(learner, new RegressionHead(gpu, head));
  const images = await array(run, 'images');
  const pixels = Tensor.from(gpu, images.data, images.shape);
  const features = clip.encodeImages(pixels);
  const predicted = model.predict(features);
  const result = {
    position,
    prompts,
    ctx,
    head,
    features: await features.read(),
    predictions: [...(await predicted.read())],
  };
  for (const tensor of [pixels, features, predicted]) tensor.dispose();
  model.dispose();
  clip.dispose();
  return result;
}

/** The final parameters in the published trainer's layout. */
async function writeFolder(name: string, { ctx, head }: Awaited<ReturnType<typeof reference>>) {
  const path = join(folder, name);
  for (const part of ['prompt_learner', 'regression']) mkdirSync(join(path, part), { recursive: true });
  const tensors = (values: object) =>
    new Map(Object.entries(values).map(([key, value]) => [key, { dtype: 'F32' as const, ...value }]));
  await writeTorchScript(join(path, 'prompt_learner', 'model.pth.tar-100'), tensors({ ctx }));
  await writeTorchScript(join(path, 'regression', 'model.pth.tar-100'), tensors(head));
  return path;
}

async function scores(path: string, options: Parameters<typeof Scorer.load>[2], features: Float32Array) {
  const scorer = await Scorer.load(await sharedGpu(), path, options);
  const width = 64;
  const values: number[] = [];
  for (let at = 0; at < features.length; at += width)
    values.push(await scorer.scoreFeature(features.subarray(at, at + width)));
  await scorer.close();
  return values;
}

describe('models of the published trainer', () => {
  it.each(['end-shared', 'end-csc', 'front-csc', 'middle-shared'])('%s', async (name) => {
    const run = await openTensorFile(join(tiny, `train-${name}.safetensors`));
    const expected = await reference(run);
    await run.close();
    const { position, prompts, features, predictions } = expected;
    const path = name === 'end-shared' ? published : await writeFolder(name, expected);
    const found = await scores(path, { weights, position, prompts }, features);
    expect(found).toHaveLength(8);
    for (const [i, value] of found.entries())
      expect(Math.abs(value - predictions[i]!) / Math.abs(predictions[i]!)).toBeLessThan(1e-4);
  });

  it('say what is missing or does not fit', async () => {
    const gpu = await sharedGpu();
    await expect(Scorer.load(gpu, published)).rejects.toThrow(/does not record which CLIP weights/);
    await expect(Scorer.load(gpu, published, { weights })).rejects.toThrow(
      /these weights have a vocabulary of 1,000 tokens, CLIP's tokenizer has 49,408/,
    );
    await expect(Scorer.load(gpu, published, { weights, epoch: 7 })).rejects.toThrow(
      /model\.pth\.tar-7 is not in both/,
    );
    const other = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
    await expect(Scorer.load(gpu, published, { weights: other })).rejects.toThrow(/do not fit these weights/);
  });
});
