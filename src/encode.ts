import { Option } from 'commander';
import { keep } from './autograd/scope.ts';
import { Tensor } from './autograd/tensor.ts';
import { createCommand, runCommand } from './cli/command.ts';
import { countOption } from './cli/numbers.ts';
import { startGpu, terminal } from './cli/start.ts';
import { UserError } from './common/errors.ts';
import { requireFinite } from './data/finite.ts';
import { writeSafetensors } from './data/safetensors.ts';
import { openTensorFile } from './data/tensor-file.ts';
import { Tokenizer } from './data/tokenizer.ts';
import { Clip } from './model/clip.ts';
import type { Activation } from './model/config.ts';
import { weightsPath } from './model/embedded.ts';
import { weightsId } from './model/weights-id.ts';
import { findPictures } from './scoring/pictures.ts';
import { pictureEncoder } from './training/encoders.ts';
import { PictureFeatures } from './training/picture-features.ts';

interface Options {
  weights: string;
  out: string;
  image?: string[];
  text?: string[];
  tensors?: string;
  batch: number;
  weightType: 'float32' | 'float16';
  activation?: Activation;
}

const command = createCommand('encode', 'Writes CLIP features of pictures and texts as safetensors.', [
  'node dist/encode.js --weights ViT-B-16.pt --image pictures/ --text "a cat" "a dog" --out features.safetensors',
  'node dist/encode.js --weights ViT-B-16.pt --tensors inputs.safetensors --out features.safetensors   # ready images / tokens',
])
  .option(
    '--weights <file>',
    'CLIP weights: safetensors, .pt, a Hugging Face folder, or embedded',
    'embedded',
  )
  .requiredOption('--out <file>', 'safetensors file to write: image_features, text_features')
  .option('--image <path...>', 'picture files or folders')
  .option('--text <text...>', 'texts')
  .option(
    '--tensors <file>',
    'safetensors with `images` [n, 3, size, size] (normalised) and / or `tokens` [n, context]',
  )
  .option('--batch <n>', 'pictures at once', countOption('--batch'), 8)
  .addOption(
    new Option('--weight-type <type>', 'storage of the matrices')
      .choices(['float32', 'float16'])
      .default('float32'),
  )
  .addOption(
    new Option(
      '--activation <name>',
      "the MLPs' activation (default: as the file says, else quick_gelu; open_clip's own models mostly have gelu)",
    ).choices(['quick_gelu', 'gelu']),
  );

type Features = Map<string, { dtype: 'F32'; shape: number[]; data: Float32Array }>;

await runCommand<Options & Record<string, unknown>>(command, async (given) => {
  const options = { ...given, weights: weightsPath(given.weights) };
  const { image, text, tensors } = options;
  if (!image && !text && !tensors)
    throw new UserError('nothing to encode', 'Give --image, --text or --tensors.');
  const gpu = await startGpu(terminal);
  const clip = await Clip.load(gpu, options.weights, {
    weightType: options.weightType,
    activation: options.activation,
    vision: Boolean(image || tensors),
    text: Boolean(text || tensors),
  });
  const features: Features = new Map();
  const metadata: Record<string, string> = {};
  if (tensors) await encodeTensors(clip, tensors, options.batch, features);
  if (image) metadata.images = JSON.stringify(await encodePictures(clip, image, options, features));
  if (text) {
    const tokens = (await Tokenizer.load()).tokenize(text, clip.text.config.contextLength);
    await addTexts(clip, tokens, features);
    metadata.texts = JSON.stringify(text);
  }
  await writeSafetensors(options.out, features, metadata);
  for (const [name, { shape }] of features) terminal.line(`${name.padEnd(15)} [${shape.join(', ')}]`);
  terminal.line(`written to ${options.out}`);
  gpu.close();
});

async function encodeTensors(clip: Clip, path: string, batch: number, features: Features): Promise<void> {
  const file = await openTensorFile(path);
  const images = file.tensors.get('images');
  const tokens = file.tensors.get('tokens');
  if (!images && !tokens)
    throw new UserError(`${path} holds neither images nor tokens`, 'Name the tensors `images` and `tokens`.');
  if (images) {
    const { imageSize } = clip.config.vision;
    const [count, ...rest] = images.shape;
    if (rest.join() !== [3, imageSize, imageSize].join())
      throw new UserError(
        `${path}: images are [${images.shape.join(', ')}], expected [n, 3, ${imageSize}, ${imageSize}]`,
      );
    const values = requireFinite(await file.read('images'), images.shape, `${path}: tensor images`);
    const size = values.length / count!;
    const width = clip.vision.featureWidth;
    const data = new Float32Array(count! * width);
    for (let at = 0; at < count!; at += batch) {
      const part = values.subarray(at * size, Math.min(count!, at + batch) * size);
      const input = keep(Tensor.from(clip.gpu, part, [part.length / size, 3, imageSize, imageSize]));
      const encoded = clip.encodeImages(input);
      data.set(await encoded.read(), at * width);
      encoded.dispose();
      input.dispose();
    }
    features.set('image_features', { dtype: 'F32', shape: [count!, width], data });
  }
  if (tokens) {
    const { contextLength } = clip.text.config;
    if (tokens.shape.length !== 2 || tokens.shape[1] !== contextLength)
      throw new UserError(`${path}: tokens are [${tokens.shape.join(', ')}], expected [n, ${contextLength}]`);
    await addTexts(clip, wholeTokens(path, await file.read('tokens')), features);
  }
  await file.close();
}

/** Token ids of a file, whatever type they are stored in. */
function wholeTokens(path: string, values: Float32Array): Int32Array {
  const wrong = values.find((value) => !Number.isInteger(value));
  if (wrong !== undefined) throw new UserError(`${path}: tokens hold ${wrong}, which is no token id`);
  return Int32Array.from(values);
}

async function addTexts(clip: Clip, tokens: Int32Array, features: Features): Promise<void> {
  const encoded = clip.encodeTokens(tokens);
  features.set('text_features', { dtype: 'F32', shape: [...encoded.shape], data: await encoded.read() });
  encoded.dispose();
}

/** Returns the paths in the order of the rows; unreadable pictures are left out and named. */
async function encodePictures(
  clip: Clip,
  paths: string[],
  options: Options,
  features: Features,
): Promise<string[]> {
  const { weights, batch, weightType } = options;
  const found = findPictures(paths);
  const encoder = pictureEncoder(clip.vision, await weightsId(weights), {
    trainer: 'clip-agiqa',
    layers: '',
    pool: 'cls',
    weightType,
  });
  const pictures = new PictureFeatures(clip.gpu, clip.vision, encoder, {
    batch: Math.min(batch, found.length),
    cache: null,
  });
  const size = pictures.imageSize;
  const rows: { path: string; feature: Float32Array }[] = [];
  const bar = terminal.bar('encoding', found.length);
  for await (const result of pictures.encode(
    found.map((path) => ({ path, size, transform: { kind: 'test' as const } })),
  )) {
    if ('error' in result) terminal.line(`skipped    ${result.error}`);
    else rows.push({ path: found[result.index]!, feature: result.feature });
    bar.advance();
  }
  bar.stop();
  await pictures.close();
  if (rows.length === 0) throw new UserError(`none of the ${found.length} pictures could be read`);
  const data = new Float32Array(rows.length * encoder.width);
  for (const [i, { feature }] of rows.entries()) data.set(feature, i * encoder.width);
  features.set('image_features', { dtype: 'F32', shape: [rows.length, encoder.width], data });
  return rows.map(({ path }) => path);
}
