import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { type EncodeFlags, encodeRun, encodesShards } from '../cli/encode-run.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addShardOptions, checkShardFlags, refuseObjects } from '../cli/shard-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import { printable } from '../common/printable.ts';
import { requireFinite } from '../data/formats/finite.ts';
import { storageTypes } from '../data/formats/float16.ts';
import { writeSafetensors } from '../data/formats/safetensors-file.ts';
import { openTensorFile, type TensorFile } from '../data/formats/tensor-file.ts';
import { ClipEncoder } from '../features/clip-encoder.ts';
import { unit } from '../features/cosine.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import { noTextTower } from '../model/clip.ts';
import { activations, type ClipConfig, type TextConfig } from '../model/config.ts';
import { checkTokens } from '../model/text.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { findImages } from '../scoring/images.ts';

const command = createCommand('encode', 'Writes CLIP features of images and texts to a safetensors file.', [
  'node dist/encode.js --weights ViT-B-16.pt --image images/ --text "a cat" "a dog" --out features.safetensors',
  'node dist/encode.js --weights ViT-B-16.pt --image images/ --normalize --out unit-features/   # npy and Parquet a shard, for autofaiss',
  'node dist/encode.js --weights ViT-B-16.pt --tensors inputs.safetensors --out features.safetensors   # preprocessed images and tokens',
])
  .option(
    '--weights <file>',
    'CLIP weights: safetensors, .pt, a Hugging Face folder, or embedded',
    'embedded',
  )
  .requiredOption(
    '--out <path>',
    'safetensors file to write (image_features, text_features); - for stdout; with / at its end, a folder of shards (docs/scale.md)',
  )
  .option(
    '--list <file>',
    'with --out DIR/: images from a CSV, JSON lines, Parquet, or a text of a path a line',
  )
  .option('--image-column <name>', 'with --list: column of image names')
  .option('--root <dir>', 'with --list: folder of the images (default: that of the list)')
  .addOption(
    new Option('--feature-type <type>', 'with --out DIR/: type of the features (default: float32)').choices(
      storageTypes,
    ),
  )
  .option('--normalize', 'scale features to unit length, as open_clip with normalize=True and clip-retrieval')
  .option(
    '--image <path...>',
    'image files, folders, or quoted patterns; - reads names from stdin; with --out DIR/ also .tar files and s3:// (docs/scale.md)',
  )
  .option('--text <text...>', 'texts')
  .option(
    '--tensors <file>',
    'safetensors with `images` [n, 3, size, size] (normalized), `tokens` [n, context], or both',
  )
  .option(
    '--batch <n>',
    'batch size of the image tower; changing it may change the last bits of a feature',
    countOption('--batch'),
    encodeBatch,
  )
  .addOption(
    new Option('--weight-type <type>', 'storage type of the matrices')
      .choices(storageTypes)
      .default('float32'),
  )
  .addOption(
    new Option(
      '--activation <name>',
      "MLP activation (default: the one named in the file, else quick_gelu; open_clip's own models mostly use gelu)",
    ).choices(activations),
  );

type FeatureRows = { dtype: 'F32'; shape: readonly number[]; data: Float32Array };
type Features = Map<string, FeatureRows>;

addShardOptions(command, ['npy', 'safetensors'], false);
addGpuOptions(command);

await runCommand<EncodeFlags & Record<string, unknown>>(command, async (given) => {
  checkShardFlags(given, encodesShards(given));
  if (encodesShards(given)) {
    const named = Object.keys(given).filter((name) => command.getOptionValueSource(name) === 'cli');
    await encodeRun(given, new Set(named));
    return;
  }
  const options = { ...given, weights: weightsPath(given.weights) };
  const { image, text, tensors, batch } = options;
  if (!image && !text && !tensors)
    throw new UserError('nothing to encode', 'Pass --image, --text or --tensors.');
  refuseObjects(image);
  checkOutput(options.out);
  const found = image && (await findImages(image));
  const paths = found?.paths;
  if (found?.leftOut) terminal.line(`left out   ${found.leftOut}`);
  const signal = watchInterrupts();
  const gpu = await startGpu(terminal);
  const { weightType, activation } = options;
  const rows = (features: readonly Float32Array[]) =>
    rowsOf(options.normalize ? features.map(unit) : features);
  const encoder = await ClipEncoder.load(gpu, options.weights, {
    batch,
    weightType,
    activation,
    vision: Boolean(image || tensors),
    text: Boolean(text || tensors),
  });
  const { config } = encoder;
  const features: Features = new Map();
  const metadata: Record<string, string> = {};
  let stopped: string | undefined;
  if (tensors) {
    const { images, tokens } = await readTensors(tensors, config);
    if (images) features.set('image_features', rows(await encoder.encodePreprocessed(images)));
    if (tokens) features.set('text_features', rows(await encoder.encodeTokens(tokens)));
  }
  if (text) {
    features.set('text_features', rows(await encoder.encodeTexts(text)));
    metadata.texts = JSON.stringify(text);
  }
  if (paths) {
    const { encoded, reached } = await encodeImages(encoder, paths, signal);
    if (encoded.length > 0) features.set('image_features', rows(encoded.map(({ feature }) => feature)));
    metadata.images = JSON.stringify(encoded.map(({ path }) => path));
    if (reached < paths.length) stopped = metadata.stopped = `${reached} of ${paths.length} images encoded`;
  }
  await encoder.close();
  gpu.close();
  if (stopped && features.size === 0) throw new Stopped('before anything was encoded; nothing was written');
  await writeSafetensors(options.out, features, metadata);
  for (const [name, { shape }] of features) terminal.line(`${name.padEnd(15)} [${shape.join(', ')}]`);
  if (stopped)
    throw new Stopped(`${stopped}, written to ${options.out}; run the same command again for the rest`);
  if (options.out !== '-') terminal.line(`written to ${printable(options.out)}`);
});

function textOf({ text }: ClipConfig): TextConfig {
  if (!text) throw noTextTower();
  return text;
}

/** The ready inputs of a file, checked. */
async function readTensors(
  path: string,
  config: ClipConfig,
): Promise<{ images: Float32Array | null; tokens: Int32Array | null }> {
  const file = await openTensorFile(path);
  try {
    const found = { images: file.tensors.get('images'), tokens: file.tensors.get('tokens') };
    if (!found.images && !found.tokens)
      throw new UserError(
        `${path} holds neither images nor tokens`,
        'Name the tensors `images` and `tokens`.',
      );
    const { imageSize } = config.vision;
    return {
      images: found.images ? await readImages(file, found.images.shape, imageSize) : null,
      tokens: found.tokens ? await readTokens(file, found.tokens.shape, textOf(config)) : null,
    };
  } finally {
    await file.close();
  }
}

async function readImages(file: TensorFile, shape: readonly number[], side: number): Promise<Float32Array> {
  checkShape(file, 'images', shape, [3, side, side]);
  return requireFinite(await file.read('images'), shape, `${file.path}: tensor images`);
}

async function readTokens(
  file: TensorFile,
  shape: readonly number[],
  config: TextConfig,
): Promise<Int32Array> {
  checkShape(file, 'tokens', shape, [config.contextLength]);
  const values = await file.read('tokens');
  checkTokens(values, config, `${file.path}: `);
  return Int32Array.from(values);
}

function checkShape(
  { path }: TensorFile,
  name: string,
  shape: readonly number[],
  row: readonly number[],
): void {
  const [count, ...rest] = shape;
  if (rest.join() !== row.join())
    throw new UserError(`${path}: ${name} are [${shape.join(', ')}], expected [n, ${row.join(', ')}]`);
  if (count === 0) throw new UserError(`${path}: ${name} has no rows`, 'At least one is needed.');
}

/** Features and paths of the images in the order given; unreadable ones are left out and named. */
async function encodeImages(
  encoder: ClipEncoder,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<{ encoded: { path: string; feature: Float32Array }[]; reached: number }> {
  const encoded: { path: string; feature: Float32Array }[] = [];
  let reached = 0;
  const bar = terminal.bar('encoding', paths.length);
  for await (const result of signal.aborted ? [] : encoder.encodeImages(paths)) {
    reached++;
    if ('error' in result) terminal.line(`skipped    ${printable(result.error)}`);
    else encoded.push(result);
    bar.advance();
    if (signal.aborted) break;
  }
  bar.stop();
  if (encoded.length === 0 && reached === paths.length)
    throw new UserError(`none of the ${paths.length} images could be read`);
  return { encoded, reached };
}

/** Features below each other. */
function rowsOf(features: readonly Float32Array[]): FeatureRows {
  const width = features[0]!.length;
  const data = new Float32Array(features.length * width);
  for (const [at, feature] of features.entries()) data.set(feature, at * width);
  return { dtype: 'F32', shape: [features.length, width], data };
}
