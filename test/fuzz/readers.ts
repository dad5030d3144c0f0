import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { settingsFrom } from '../../src/cli/settings-options.ts';
import { elementCount } from '../../src/common/shape.ts';
import { openDataset } from '../../src/data/datasets/index.ts';
import { readCsv } from '../../src/data/formats/csv.ts';
import { nonFiniteTensors } from '../../src/data/formats/finite.ts';
import { readMat, scoreList } from '../../src/data/formats/mat.ts';
import { readPickle } from '../../src/data/formats/pickle.ts';
import type { HostTensor, TensorFile } from '../../src/data/formats/tensor.ts';
import { openTensorFile } from '../../src/data/formats/tensor-file.ts';
import { torchGlobal, torchStorage } from '../../src/data/formats/torch-pickle.ts';
import { prepareImage } from '../../src/data/images/prepare.ts';
import { loadTokenizer } from '../../src/data/tokenizer/vocabulary.ts';
import { FeatureCache } from '../../src/features/feature-cache.ts';
import type { Gpu } from '../../src/kernels/device/gpu.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { describeWeights } from '../../src/model/weights/describe.ts';
import { openClipWeights } from '../../src/model/weights/open-weights.ts';
import { readOriginalCheckpoint, readOriginalContext } from '../../src/model/weights/original-checkpoint.ts';
import { generateTensor, readWeightsSpec } from '../../src/model/weights/weights-spec.ts';
import { readRun } from '../../src/report/run-files.ts';
import { writeReport } from '../../src/report/write-report.ts';
import { Scorer } from '../../src/scoring/scorer.ts';
import { readCheckpoint } from '../../src/training/checkpoint.ts';
import { cachedKeys, cachedVector, cachedWidth, tinyFeature, tinyWeights } from './known.ts';

/**
 * Reads a file or folder as the commands do, and all that is in it.
 *
 * @returns what makes no sense of what was accepted; empty if all does
 */
export type Reader = (path: string) => Promise<string[]>;

function sane(...claims: readonly [boolean, string][]): string[] {
  return claims.filter(([holds]) => !holds).map(([, claim]) => claim);
}

const isHostTensor = ({ shape, data }: HostTensor): boolean =>
  // By itself: what the program finds is what is being tried.
  data.length === elementCount(shape) && data.every((value) => Number.isFinite(value));

async function closing<T>(file: TensorFile, use: (file: TensorFile) => Promise<T>): Promise<T> {
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function tensorsOf(path: string): Promise<string[]> {
  return closing(await openTensorFile(path), async (file) => {
    const wrong: string[] = [];
    for (const { name, shape } of file.tensors.values()) {
      const values = await file.read(name);
      if (values.length !== elementCount(shape)) wrong.push(`${name}: ${values.length} values`);
    }
    return wrong;
  });
}

function isSaneTower({ heads, width, layerNormEps, layers, mlpWidth }: Record<string, unknown>): boolean {
  const counts = [heads, width, layers, mlpWidth] as number[];
  return (
    counts.every((count) => Number.isSafeInteger(count) && count > 0) &&
    (width as number) % (heads as number) === 0 &&
    (layerNormEps as number) > 0 &&
    (layerNormEps as number) < 1
  );
}

async function clipWeights(path: string): Promise<string[]> {
  const weights = await openClipWeights(path);
  try {
    const { vision, text } = weights.config;
    const wrong = sane(
      [isSaneTower({ ...vision }), 'vision tower'],
      [text === null || isSaneTower({ ...text }), 'text tower'],
      [vision.std.every((v) => v >= 1e-3 && v <= 100), `std ${vision.std}`],
      [vision.mean.every((v) => Math.abs(v) <= 100), `mean ${vision.mean}`],
      [Number.isSafeInteger(vision.imageSize), `image size ${vision.imageSize}`],
    );
    for (const name of weights.names()) {
      const data = await weights.read(name);
      if (!isHostTensor({ shape: weights.shape(name), data })) wrong.push(name);
    }
    return wrong;
  } finally {
    await weights.close();
  }
}

async function checkpoint(path: string): Promise<string[]> {
  const { settings, state, weightsId, words, parameters, optimizer, constants } = await readCheckpoint(path);
  const tensors = [parameters, optimizer, constants].flatMap((part) => [...part]);
  return sane(
    [typeof settings.trainer === 'string' && Number.isFinite(settings.lr), 'settings'],
    [Number.isSafeInteger(state.epoch) && state.epoch >= 0, `epoch ${state.epoch}`],
    [Array.isArray(state.records) && state.records.every((r) => Number.isSafeInteger(r.epoch)), 'records'],
    [typeof weightsId === 'string', `weightsId ${weightsId}`],
    [Array.isArray(words) && words.every((word) => typeof word === 'string'), `words ${words}`],
    ...tensors.map(([name, tensor]): [boolean, string] => [isHostTensor(tensor), name]),
  );
}

async function pickle(path: string): Promise<string[]> {
  const options = { path, global: torchGlobal, persistent: torchStorage };
  const { end } = readPickle(readFileSync(path), options);
  return sane([end > 0, 'end']);
}

async function mat(path: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const [name, matrix] of await readMat(path)) {
    const count = elementCount(matrix.shape);
    if (matrix.data.length !== count || matrix.shape.some((extent) => extent < 0)) wrong.push(name);
    try {
      if (!scoreList(matrix, name).every(Number.isFinite)) wrong.push(`${name} as scores`);
    } catch (error) {
      if ((error as Error).name !== 'UserError') throw error;
    }
  }
  return wrong;
}

async function csvDataset(path: string): Promise<string[]> {
  const { rows, columns } = await readCsv(path);
  const wrong = sane([
    rows.every(({ fields }) => columns.every((c) => typeof fields[c] === 'string')),
    'fields',
  ]);
  const splitColumn = columns.find((column) => column === 'split');
  const dataset = await openDataset({ name: 'csv', csv: path, root: dirname(path), splitColumn });
  const { samples, range, thresholds } = dataset;
  return [
    ...wrong,
    ...sane(
      [samples.every(({ mos }) => Number.isFinite(Math.fround(mos))), 'mos'],
      [[...range, ...thresholds].every(Number.isFinite), 'range'],
    ),
  ];
}

async function original(path: string): Promise<string[]> {
  const { ctx, head, epoch } = await readOriginalCheckpoint(path);
  await readOriginalContext(path);
  return sane(
    [isHostTensor(ctx), 'ctx'],
    [Object.values(head).every(isHostTensor), 'head'],
    [Number.isNaN(epoch) || (Number.isSafeInteger(epoch) && epoch >= 0), `epoch ${epoch}`],
  );
}

async function spec(path: string): Promise<string[]> {
  const described = await readWeightsSpec(path);
  const wrong: string[] = [];
  for (const [name, { shape }] of described.tensors) {
    if (elementCount(shape) > 1e6) continue;
    if (!isHostTensor({ shape, data: generateTensor(described, name) })) wrong.push(name);
  }
  return wrong;
}

async function runFolder(path: string): Promise<string[]> {
  const { summary, records, predictions } = await readRun(path);
  const page = await writeReport(path, { images: 2 });
  return sane(
    [page === join(path, 'report.html') && existsSync(page), `page ${page}`],
    [typeof summary.settings.trainer === 'string', 'settings'],
    [records.every((r) => Number.isSafeInteger(r.epoch)), 'records'],
    [predictions.every(({ mos, prediction }) => Number.isFinite(mos + prediction)), 'predictions'],
  );
}

const imageSide = 12;

async function image(path: string): Promise<string[]> {
  const prepared = await prepareImage({ path, size: imageSide, transform: { kind: 'test' } });
  if ('error' in prepared) throw Object.assign(new Error(prepared.error), { name: 'UserError' });
  return sane([prepared.pixels.length === imageSide * imageSide * 3, `${prepared.pixels.length} pixels`]);
}

async function text(path: string): Promise<string[]> {
  const tokenizer = await loadTokenizer();
  const ids = tokenizer.encode(readFileSync(path, 'utf8'));
  const row = tokenizer.tokenize([readFileSync(path, 'utf8')], 77, { truncate: true });
  return sane(
    [ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < tokenizer.vocabSize), 'ids'],
    [row.length === 77, `${row.length} tokens`],
  );
}

async function yaml(path: string): Promise<string[]> {
  const settings = settingsFrom({ config: path });
  return sane(
    [Object.values(settings).every((v) => typeof v !== 'number' || Number.isFinite(v)), 'numbers'],
    [Object.values(settings).every((v) => ['number', 'string', 'boolean'].includes(typeof v)), 'types'],
  );
}

const deviceOnce = (() => {
  let device: Promise<Gpu> | undefined;
  return () => (device ??= openGpu());
})();

/** A trained model, scored with as `score` does from an image's feature on. */
async function scoringModel(path: string): Promise<string[]> {
  const scorer = await Scorer.load(await deviceOnce(), path, { weights: tinyWeights });
  try {
    const score = await scorer.scoreFeature(new Float32Array(tinyFeature).fill(0.25));
    return sane([Number.isFinite(score), `score ${score}`]);
  } finally {
    await scorer.close();
  }
}

/** The cache's vectors are those that were put in, or none. */
async function cache(path: string): Promise<string[]> {
  const lines: string[] = [];
  const opened = await FeatureCache.open(path, { width: cachedWidth, warn: (line) => lines.push(line) });
  const found = await opened.get(cachedKeys);
  const wrong = found.flatMap((vector, i) =>
    vector && [...vector].join() !== [...cachedVector(i)].join() ? [`vector ${i}`] : [],
  );
  opened.put('more', cachedVector(9));
  await opened.close();
  return [...wrong, ...sane([lines.every((line) => !line.includes('\n')), 'lines'])];
}

async function info(path: string): Promise<string[]> {
  const { tensors, parameters } = await describeWeights(path);
  return sane(
    [tensors.length > 0 || parameters === 0, 'parameters'],
    [Number.isSafeInteger(parameters), 'sum'],
  );
}

async function nonFinite(path: string): Promise<string[]> {
  return closing(await openTensorFile(path), async (file) => {
    const found = await nonFiniteTensors(file);
    return sane([found.size <= file.tensors.size, 'more than there are']);
  });
}

/** Every way a file gets into the program, by name. */
export const readers = {
  info,
  tensors: tensorsOf,
  nonFinite,
  clipWeights,
  checkpoint,
  pickle,
  mat,
  csvDataset,
  original,
  spec,
  runFolder,
  image,
  text,
  yaml,
  scoringModel,
  cache,
} satisfies Record<string, Reader>;

export type ReaderName = keyof typeof readers;
