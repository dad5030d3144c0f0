import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { keep, scope } from '../autograd/scope.ts';
import { Tensor } from '../autograd/tensor.ts';
import { openTensorFile, type TensorFile } from '../data/formats/tensor-file.ts';
import { endOfTextAt } from '../data/tokenizer/tokenizer.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { loadClip } from '../model/load-clip.ts';
import { missing, ofMax, type Results } from './figure.ts';
import { upload } from './upload.ts';

/** Bars of a small model in float32, and with a float16 archive's weights. */
const exact = 2e-5;
const halfWeights = 1e-4;

/** The weight files of one small model, in every format; `forward.safetensors` holds what each must give. */
const archives = [
  { file: 'openai.safetensors', prefix: '', tolerance: exact },
  { file: 'hf', prefix: '', tolerance: exact },
  { file: 'openai-state-dict.pt', prefix: '', tolerance: exact },
  { file: 'openai-state-dict-legacy.pt', prefix: '', tolerance: exact },
  { file: 'open_clip-checkpoint.pt', prefix: '', tolerance: exact },
  { file: 'openai-torchscript.pt', prefix: 'fp16weights.', tolerance: halfWeights },
] as const;

/** Every stage of both towers in order, features and logits, and the features from every weight format. */
export async function* checkForward(gpu: Gpu, folder: string): Results {
  const path = join(folder, 'forward.safetensors');
  if (!existsSync(path)) {
    yield missing('forward');
    return;
  }
  const reference = await openTensorFile(path);
  if (existsSync(join(folder, 'openai.safetensors'))) yield* checkStages(gpu, folder, reference);
  else yield missing('forward, stage by stage (openai.safetensors)');
  for (const archive of archives) {
    if (!existsSync(join(folder, archive.file))) yield missing(`weights from ${archive.file}`);
    else yield* checkArchive(gpu, join(folder, archive.file), archive, reference);
  }
  await reference.close();
}

async function* checkStages(gpu: Gpu, folder: string, reference: TensorFile): Results {
  const clip = await loadClip(gpu, join(folder, 'openai.safetensors'));
  const { images, tokens } = await inputs(gpu, reference);
  const stages: [string, Tensor][] = [];
  // The fast path is what everything else runs; the observed one names the first stage that departs.
  const observe = (name: string, output: Tensor) => stages.push([name, keep(output.view())]);
  const imageFeatures = keep(scope(() => clip.vision.featuresObserved(clip.vision.patches(images), observe)));
  const textFeatures = keep(
    scope(() => {
      const { contextLength } = clip.text.config;
      const eot = Uint32Array.from({ length: tokens.length / contextLength }, (_, row) => {
        const start = row * contextLength;
        return start + endOfTextAt(tokens.subarray(start, start + contextLength));
      });
      const embedded = clip.text.embed(Uint32Array.from(tokens), contextLength);
      return clip.text.featuresObserved(embedded, Tensor.from(gpu, eot), { mask: 'causal' }, observe);
    }),
  );
  for (const [name, output] of stages) {
    const label = `forward ${name}`;
    if (reference.tensors.has(name))
      yield ofMax(label, await output.read(), await reference.read(name), exact);
    output.dispose();
  }
  yield ofMax(
    'forward image_features (all tokens)',
    await imageFeatures.read(),
    await reference.read('image_features'),
    exact,
  );
  yield ofMax(
    'forward text_features (all rows)',
    await textFeatures.read(),
    await reference.read('text_features'),
    exact,
  );
  const logits = clip.logitsPerImage(imageFeatures, textFeatures);
  yield ofMax(
    'forward logits_per_image',
    await logits.read(),
    await reference.read('logits_per_image'),
    exact,
  );
  for (const tensor of [images, imageFeatures, textFeatures, logits]) tensor.dispose();
  clip.dispose();
}

async function* checkArchive(
  gpu: Gpu,
  path: string,
  { file, prefix, tolerance }: (typeof archives)[number],
  reference: TensorFile,
): Results {
  const clip = await loadClip(gpu, path);
  const { images, tokens } = await inputs(gpu, reference);
  const found = { image_features: clip.encodeImages(images), text_features: clip.encodeTokens(tokens) };
  for (const [name, tensor] of Object.entries(found)) {
    const expected = await reference.read(prefix + name);
    yield ofMax(`weights from ${file}: ${name}`, await tensor.read(), expected, tolerance);
    tensor.dispose();
  }
  images.dispose();
  clip.dispose();
}

async function inputs(gpu: Gpu, reference: TensorFile): Promise<{ images: Tensor; tokens: Int32Array }> {
  const images = await upload(gpu, reference, 'images');
  return { images: keep(images), tokens: Int32Array.from(await reference.read('tokens')) };
}
