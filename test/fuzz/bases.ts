import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elementCount } from '../../src/common/shape.ts';
import { writeSafetensors } from '../../src/data/formats/safetensors-file.ts';
import { ZipArchive } from '../../src/data/formats/zip-archive.ts';
import { FeatureCache } from '../../src/features/feature-cache.ts';
import { type ClipConfig, clipDefaults } from '../../src/model/config.ts';
import { configMetadata } from '../../src/model/weights/config-hints.ts';
import { weightsId } from '../../src/model/weights/weights-id.ts';
import { writeCheckpoint } from '../../src/training/checkpoint.ts';
import { defaultSettings } from '../../src/training/settings.ts';
import type { Checkpoint } from '../../src/training/training-format.ts';
import { type ForgedEntry, storedEntry } from '../attacks/forge.ts';
import { huggingFaceTensors, tinyTensors } from '../tiny-clip.ts';
import { cachedKeys, cachedVector, cachedWidth, projectFolder, tinyFeature, tinyWeights } from './known.ts';

/** The whole files that cases are made from. */

export const fixture = (name: string): Buffer => readFileSync(join(projectFolder, 'test/fixtures', name));

const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
};

/** The bytes of what a function writes as one file. */
async function bytesOf(write: (path: string) => Promise<void>): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-base-'));
  try {
    const path = join(folder, 'base');
    await write(path);
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const tower = { layers: 1, heads: 2, activation: 'quick_gelu', layerNormEps: 1e-5, width: 16 } as const;

/** A CLIP of 16 columns. */
export const smallConfig: ClipConfig = {
  vision: {
    ...tower,
    imageSize: 8,
    patchSize: 4,
    mlpWidth: 24,
    preNorm: true,
    patchBias: false,
    outputWidth: 8,
    mean: clipDefaults.mean,
    std: clipDefaults.std,
  },
  text: { ...tower, contextLength: 7, vocabSize: 11, mlpWidth: 32, outputWidth: 8 },
};
const tensors = once(() => tinyTensors(smallConfig));

/** It as this program writes it. */
export const clipFile = once(() =>
  bytesOf((path) => writeSafetensors(path, tensors(), configMetadata(smallConfig))),
);

export const openClipFile = once(() => bytesOf((path) => writeSafetensors(path, tensors())));
export const huggingFaceFile = once(() =>
  bytesOf((path) => writeSafetensors(path, huggingFaceTensors(tensors()))),
);

const towerConfig = {
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
};

export const huggingFaceConfig = {
  model_type: 'clip',
  projection_dim: 8,
  vision_config: { ...towerConfig, image_size: 8, patch_size: 4, intermediate_size: 24 },
  text_config: { ...towerConfig, vocab_size: 11, max_position_embeddings: 7, intermediate_size: 32 },
};
export const preprocessorConfig = {
  do_resize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
export const openClipConfig = {
  model_cfg: {
    embed_dim: 8,
    quick_gelu: true,
    vision_cfg: { image_size: 8, layers: 1, width: 16, head_width: 8, patch_size: 4 },
    text_cfg: { context_length: 7, vocab_size: 11, width: 16, heads: 2, layers: 1 },
  },
  preprocess_cfg: { mean: [0.48, 0.45, 0.4], std: [0.26, 0.26, 0.27] },
};

/** The same CLIP in two shards and their index. */
export const shards = once(async () => {
  const names = [...tensors().keys()];
  const half = names.length >> 1;
  const part = (of: string[]) =>
    bytesOf((path) => writeSafetensors(path, new Map(of.map((name) => [name, tensors().get(name)!]))));
  const files = {
    'a-00001.safetensors': await part(names.slice(0, half)),
    'a-00002.safetensors': await part(names.slice(half)),
  };
  const [first, second] = Object.keys(files);
  const weightMap = Object.fromEntries(names.map((name, i) => [name, i < half ? first : second]));
  return { files, index: { metadata: { total_size: 1 }, weight_map: weightMap } };
});

const metrics = { n: 8, srcc: 0.5, plcc: 0.4, krcc: 0.3, rmse: 1.5, mae: 1.25 };
const record = (epoch: number) => ({
  epoch,
  lr: 0.002,
  loss: 1 / epoch,
  seconds: 2,
  val: null,
  test: metrics,
});
const floats = (shape: number[]): { shape: number[]; data: Float32Array } => ({
  shape,
  data: Float32Array.from({ length: elementCount(shape) }, (_, i) => i / 8),
});

const checkpoint: Checkpoint = {
  settings: { ...defaultSettings(), epochs: 2 },
  state: { epoch: 2, records: [record(1), record(2)], best: { epoch: 2, srcc: 0.5 } },
  weightsId: '0123456789abcdef'.repeat(4),
  words: ['bad', 'good'],
  parameters: new Map([['ctx', floats([2, 4])]]),
  optimizer: new Map([['ctx.momentum', floats([2, 4])]]),
  constants: new Map([['head.1.weight', floats([3, 4])]]),
};
export const checkpointFile = once(() => bytesOf((path) => writeCheckpoint(path, checkpoint)));

const { shape: headShape, data: headData } = floats([3, tinyFeature]);
const small = { shape: headShape, data: headData.map((value) => value / 100) };
const readingOf = (name: string): [string, { shape: number[]; data: Float32Array }][] => [
  [`${name}.text`, floats([2, tinyFeature])],
  [`${name}.scores`, floats([2])],
  [`${name}.logit_scale`, { shape: [1], data: Float32Array.of(10) }],
];
const modelConstants = {
  head: [
    ['head.1.weight', small],
    ['head.1.bias', floats([3])],
    ['head.4.weight', floats([1, 3])],
    ['head.4.bias', floats([1])],
  ],
  standardized: [
    ['head.1.weight', small],
    ['head.1.bias', floats([3])],
    ['head.4.weight', floats([1, 3])],
    ['head.4.bias', floats([1])],
    ['features.mean', floats([tinyFeature])],
    ['features.std', floats([tinyFeature])],
  ],
  classes: [...readingOf('words'), ...readingOf('antonyms')],
} satisfies Record<string, [string, { shape: number[]; data: Float32Array }][]>;

export type ModelKind = keyof typeof modelConstants;
export const modelKinds = Object.keys(modelConstants) as ModelKind[];

/** Constants of a trained model of each kind, and the rest of its file. */
export const modelParts = async (
  kind: ModelKind,
): Promise<
  Omit<Checkpoint, 'constants'> & { constants: Map<string, { shape: number[]; data: Float32Array }> }
> => ({
  ...checkpoint,
  settings: {
    ...checkpoint.settings,
    weights: tinyWeights,
    trainer: kind === 'classes' ? 'zero-shot' : 'image-only',
  },
  weightsId: await weightsId(tinyWeights),
  optimizer: new Map(),
  constants: new Map(modelConstants[kind]),
});

/** A segment of a feature cache, and its name. */
export const cacheSegment = once(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-base-'));
  try {
    const cache = await FeatureCache.open(folder, { width: cachedWidth });
    for (const [i, key] of cachedKeys.entries()) cache.put(key, cachedVector(i));
    await cache.close();
    const [name] = readdirSync(folder).filter((file) => file.endsWith('.features'));
    return { name: name!, bytes: readFileSync(join(folder, name!)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A finished run's folder, without its images. */
export const runFiles = (): { summary: unknown; records: unknown[]; predictions: string } => ({
  summary: {
    folder: 'output/run',
    settings: { ...defaultSettings(), data: 'csv', csv: 'none.csv', root: 'none', epochs: 2 },
    adapter: 'software',
    mos: { target: 'mos', range: [1, 5] },
    images: { train: 8, val: 0, test: 3 },
    unreadable: [],
    missing: [],
    epochs: 2,
    finalEpoch: 2,
    before: metrics,
    test: {
      overall: metrics,
      byGroup: { sd: metrics },
      logistic: { plcc4: 0.5, rmse4: 1.2, plcc5: 0.5, rmse5: 1.2 },
      intervals: { srcc: [0.1, 0.9], plcc: [0.1, 0.9], krcc: [0.1, 0.9], rmse: [1, 2], mae: [1, 2] },
    },
    accuracy: null,
    seconds: 12.5,
  },
  records: [record(1), record(2)],
  predictions: 'name,mos,prediction\na.png,3,2.5\nb.png,4,4.25\nc.png,1.5,2\n',
});

export const pickleNames = ['protocol0', 'protocol2', 'protocol4', 'protocol5'] as const;
export const pickleFixture = (name: (typeof pickleNames)[number]): Buffer =>
  Buffer.from(JSON.parse(fixture('pickle/pickles.json').toString())[name], 'base64');

/** The entries of a PyTorch archive, to be put together otherwise. */
export const torchEntries = once(async (): Promise<ForgedEntry[]> => {
  const archive = await ZipArchive.open(join(projectFolder, 'test/fixtures/torch/views.pt'));
  const entries: ForgedEntry[] = [];
  for (const name of archive.names)
    entries.push(storedEntry(name, Buffer.from(await archive.read(name, 0, archive.sizeOf(name)!))));
  await archive.close();
  return entries;
});
