import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { keep, scope } from '../src/autograd/scope.ts';
import { Tensor } from '../src/autograd/tensor.ts';
import { defaultValues } from '../src/common/fields.ts';
import { normal, normals } from '../src/common/random.ts';
import { silent } from '../src/common/reporter.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import type { Gpu } from '../src/kernels/device/gpu.ts';
import { initialWeights } from '../src/model/weights/initial.ts';
import { openClipWeights } from '../src/model/weights/open-weights.ts';
import { pretrainingConfig } from '../src/pretraining/config.ts';
import { PretrainingModel } from '../src/pretraining/model.ts';
import { pretrainingLoss } from '../src/pretraining/objective.ts';
import { readPairs, trainingPairs } from '../src/pretraining/pairs.ts';
import { pretrainRun } from '../src/pretraining/run.ts';
import { pretrainingFields } from '../src/pretraining/settings.ts';
import { type Chunk, pretrainingGradients, type StepInputs } from '../src/pretraining/step.ts';
import { drawViews } from '../src/pretraining/views.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const tiny = {
  ...defaultValues(pretrainingFields),
  imageSize: 32,
  patchSize: 16,
  visionWidth: 64,
  visionLayers: 2,
  textWidth: 64,
  textLayers: 2,
  embedding: 16,
  views: 2,
  batchSize: 4,
  chunkSize: 4,
  cache: 'none',
};

let gpu: Gpu;
const folder = temporaryFolder('pretraining');
beforeAll(async () => {
  gpu = await sharedGpu();
  await makeScenes(join(folder, 'scenes'), { scenes: 5, versions: 2, size: 48, seed: 3 });
});

const vocabulary = 40;
const captionLength = 6;
const weights = { contrastive: 1, distillation: 0.5, quality: 3 };

function tinyModel() {
  const config = pretrainingConfig(tiny, vocabulary);
  return new PretrainingModel(gpu, config, initialWeights(config, 5), {
    textLength: captionLength,
    teacherWidth: 7,
    seed: 5,
  });
}

/** Inputs of a batch of four in chunks: the same batch however it is cut. */
function inputsIn(chunks: number): StepInputs {
  const [batch, words] = [4, 3];
  const size = batch / chunks;
  const pixelWords = (32 * 32 * 3) / 4;
  const numbers = normals(4096, 9, 1);
  const pixels = Uint32Array.from({ length: batch * pixelWords }, (_, i) => (i * 2_654_435_761) >>> 0);
  const ids = Uint32Array.from(
    { length: (batch + words) * captionLength },
    (_, i) => (i * 7 + (i >> 3)) % vocabulary,
  );
  const ends = [5, 3, 4, 5, 2, 3, 4];
  const rowsOf = (i: number) =>
    Array.from({ length: size + (i === chunks - 1 ? words : 0) }, (_, row) => i * size + row);
  const chunk = (i: number): Chunk => ({
    pixels: Tensor.from(gpu, pixels.slice(i * size * pixelWords, (i + 1) * size * pixelWords), [
      size,
      pixelWords,
    ]),
    ids: Tensor.from(
      gpu,
      Uint32Array.from(
        rowsOf(i).flatMap((row) => [...ids.subarray(row * captionLength, (row + 1) * captionLength)]),
      ),
    ),
    eot: Tensor.from(
      gpu,
      Uint32Array.from(rowsOf(i), (row, at) => at * captionLength + ends[row]!),
    ),
  });
  return {
    chunks: Array.from({ length: chunks }, (_, i) => chunk(i)),
    targets: {
      own: Tensor.from(gpu, Uint32Array.of(0, 1, 2, 3)),
      teacher: Tensor.from(gpu, Float32Array.from(numbers.subarray(0, batch * 7)), [batch, 7]),
      quality: {
        views: Tensor.from(gpu, [0.1, 0.9, 0.4, 0.6]),
        words: Tensor.from(gpu, [0, 0.5, 1]),
      },
    },
  };
}

type Parts = Partial<Record<keyof typeof weights, Tensor>>;

/** All gradients by parameter name. */
async function gradientsOf(model: PretrainingModel, inputs: StepInputs): Promise<Map<string, Float32Array>> {
  const gradients = pretrainingGradients(model, inputs, weights);
  const byName = new Map<string, Float32Array>();
  for (const [name, tensor] of model.state()) {
    const gradient = gradients.get(tensor);
    expect(gradient, `no gradient of ${name}`).toBeDefined();
    byName.set(name, await gradient!.read());
    gradient!.dispose();
  }
  return byName;
}

async function lossOf(model: PretrainingModel, { chunks, targets }: StepInputs): Promise<number> {
  const { pixels, ids, eot } = chunks[0]!;
  const parts: Parts = {};
  scope(() => {
    const images = model.images(pixels);
    const texts = model.texts(ids, eot);
    pretrainingLoss(images, texts, model.objective, targets, weights, (name, loss) => {
      parts[name] = keep(loss.view());
    });
  });
  let total = 0;
  for (const [name, part] of Object.entries(parts)) {
    total += weights[name as keyof typeof weights] * (await part.read())[0]!;
    part.dispose();
  }
  return total;
}

const norm = (values: Float32Array) => Math.hypot(...values);

describe('gradients of pre-training', () => {
  it('are those of finite differences, for every weight of both towers', async () => {
    const model = tinyModel();
    const inputs = inputsIn(1);
    const gradients = await gradientsOf(model, inputs);
    for (const [name, tensor] of model.state()) {
      const gradient = gradients.get(name)!;
      const length = norm(gradient);
      const values = await tensor.read();
      // Along its own gradient a tensor changes the loss fastest: by its norm a unit of length.
      const h = Math.min(0.02, 0.02 / length);
      const at = async (step: number) => {
        tensor.write(values.map((value, i) => value + (step * gradient[i]!) / length));
        return lossOf(model, inputs);
      };
      const slope = ((await at(h)) - (await at(-h))) / (2 * h);
      tensor.write(values);
      expect(Math.abs(slope - length), `${name}: ${slope} against ${length}`).toBeLessThan(
        0.02 * length + 2e-4,
      );
    }
    model.dispose();
  }, 120_000);

  it('are the same through cached features as straight through', async () => {
    const model = tinyModel();
    const direct = await gradientsOf(model, inputsIn(1));
    const cached = await gradientsOf(model, inputsIn(2));
    for (const [name, expected] of direct) {
      const found = cached.get(name)!;
      const difference = norm(expected.map((value, i) => value - found[i]!));
      expect(difference, name).toBeLessThan(1e-5 * norm(expected) + 1e-7);
    }
    model.dispose();
  });
});

describe('pairs and views', () => {
  it('leave out every held-out image, also under another name', async () => {
    const root = join(folder, 'twins');
    await makeScenes(root, { scenes: 5, versions: 2, size: 32, seed: 4 });
    const options = { name: 'csv', csv: join(root, 'data.csv'), root, splitColumn: 'split' };
    const before = await openDataset(options);
    const nameOf = (part: Int32Array, at: number) => before.samples[part[at]!]!;
    const twin = nameOf(before.split.train, 0);
    copyFileSync(nameOf(before.split.test, 0).path, twin.path);
    const { pairs, excluded } = await trainingPairs(await openDataset(options));
    expect(excluded).toEqual([twin.name]);
    expect(pairs).toHaveLength(before.split.train.length - 1);
    const learned = new Set(pairs.map(({ path }) => path));
    for (const at of before.split.test) expect(learned.has(before.samples[at]!.path)).toBe(false);
  });

  it('read captions from a CSV, beside the images, and from the names of sub-folders', async () => {
    const root = join(folder, 'captioned');
    mkdirSync(join(root, 'red_fox'), { recursive: true });
    const [image] = readdirSync(join(folder, 'scenes')).filter((name) => name.endsWith('.png'));
    copyFileSync(join(folder, 'scenes', image!), join(root, 'a.png'));
    copyFileSync(join(folder, 'scenes', image!), join(root, 'red_fox', 'b.png'));
    writeFileSync(join(root, 'a.txt'), 'a blue house\n');
    const inFolder = await readPairs({ ...tiny, pairs: root });
    expect(inFolder.pairs.map(({ text }) => text)).toEqual(['a blue house', 'red fox']);
    writeFileSync(join(root, 'pairs.csv'), 'image,caption\na.png,"one, two"\n');
    const inCsv = await readPairs({ ...tiny, pairs: join(root, 'pairs.csv') });
    expect(inCsv.pairs).toMatchObject([{ path: join(root, 'a.png'), text: 'one, two', quality: null }]);
    writeFileSync(join(root, 'wrong.csv'), 'image,caption\nnone.png,x\n');
    await expect(readPairs({ ...tiny, pairs: join(root, 'wrong.csv') })).rejects.toThrow(
      /line 2.*none\.png does not exist/,
    );
  });

  it('say how good a distorted image still is', () => {
    const pair = { name: 'p.png', path: 'p.png', text: 'a cat', generator: 'sd', quality: 1 };
    const bounds = [1, 2, 3, 4, 5].map((i) => i / 6);
    const settings = {
      ...tiny,
      views: 400,
      distorted: 0.5,
      caption: '{quality} {text} by {generator}{damage}',
    };
    const views = drawViews([pair], bounds, settings);
    expect(drawViews([pair], bounds, settings)).toEqual(views);
    const distorted = views.filter(({ job }) => job.distortion);
    expect(distorted.length).toBeGreaterThan(150);
    expect(distorted.length).toBeLessThan(250);
    for (const { job, caption, quality } of views) {
      expect(quality).toBeCloseTo(1 - (job.distortion?.severity ?? 0), 12);
      if (!job.distortion) expect(caption).toBe('perfect a cat by sd');
      else expect(caption).toMatch(/^\w+ a cat by sd, with (slight|strong|extreme) /);
    }
    // The words that the embedded model was pre-trained on: other ones are other tokens, and another model.
    const damages = new Set(
      distorted.map(({ caption }) => caption.replace(/^.*, with (slight|strong|extreme) /, '')),
    );
    expect([...damages].sort()).toEqual([
      'a colour cast',
      'blocks',
      'blur',
      'colour banding',
      'compression artefacts',
      'noise',
      'pixelation',
    ]);
    expect(
      views.filter(({ quality }) => quality! < 1 / 6).every(({ caption }) => caption.startsWith('terrible')),
    ).toBe(true);
  });
});

describe('a run of pre-training', () => {
  const settings = () => ({
    ...tiny,
    data: 'scenes',
    root: join(folder, 'scenes'),
    views: 4,
    epochs: 2,
    lr: 3e-3,
    checkpointEvery: 3,
    out: join(folder, 'whole'),
  });
  const bytesOf = (out: string) => readFileSync(join(out, 'model.safetensors'));

  it('learns, leaves a CLIP that every command can read, and repeats bit for bit, also across a stop', async () => {
    const whole = await pretrainRun(gpu, settings(), { resume: false, reporter: silent });
    const lines = readFileSync(join(whole.folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const records = lines.map((line) => JSON.parse(line));
    expect(records.at(-1).step).toBe(whole.steps);
    expect(records.at(-1).quality).toBeLessThan(records[0].quality);
    const weights = await openClipWeights(join(whole.folder, 'model.safetensors'));
    expect(weights.config.vision).toMatchObject({
      imageSize: 32,
      patchSize: 16,
      width: 64,
      layers: 2,
      heads: 1,
    });
    expect(weights.config.text).toMatchObject({ width: 64, layers: 2, outputWidth: 16, vocabSize: 49408 });
    await weights.close();

    await expect(pretrainRun(gpu, settings(), { resume: false, reporter: silent })).rejects.toThrow(
      /already holds a run/,
    );
    const halves = { ...settings(), out: join(folder, 'halves') };
    const stop = new AbortController();
    const line = (text: string) => {
      if (text.startsWith('step 3/')) stop.abort();
    };
    const stopped = pretrainRun(gpu, halves, {
      resume: false,
      reporter: { ...silent, line },
      signal: stop.signal,
    });
    await expect(stopped).rejects.toThrow(
      `after step 3 of ${whole.steps}; continue with: node dist/pretrain.js --resume ${halves.out}`,
    );
    // Nothing that would be taken for a finished run's.
    expect(readdirSync(halves.out).sort()).toEqual([
      'checkpoint.safetensors',
      'config.yaml',
      'metrics.jsonl',
    ]);
    await pretrainRun(gpu, halves, { resume: true, reporter: silent });
    // The recipe in the file names the folder; the tensors are all the same.
    const tensors = async (out: string) => {
      const file = await openClipWeights(join(out, 'model.safetensors'));
      const all = await Promise.all(file.names().map(async (name) => [name, await file.read(name)] as const));
      await file.close();
      return new Map(all);
    };
    expect(bytesOf(halves.out).length).toBeGreaterThan(0);
    expect(await tensors(halves.out)).toEqual(await tensors(whole.folder));
    const refused = async (change: object, message: RegExp) =>
      expect(pretrainRun(gpu, { ...halves, ...change }, { resume: true, reporter: silent })).rejects.toThrow(
        message,
      );
    await refused({ lr: 1e-3 }, /trained with --lr 0.003, not 0.001/);
    await refused({ epochs: 1 }, /trained with --epochs 2, not 1/);
    const other = join(folder, 'other-scenes');
    await makeScenes(other, { scenes: 5, versions: 2, size: 48, seed: 9 });
    await refused({ root: other }, /trained on other data: /);
  }, 120_000);

  it('stops at a loss that is not finite, and leaves no weights', async () => {
    const out = join(folder, 'diverged');
    const diverging = { ...settings(), out, lr: 1e20, warmup: 0, clipNorm: 1e30, checkpointEvery: 1 };
    await expect(pretrainRun(gpu, diverging, { resume: false, reporter: silent })).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/not finite|became (NaN|-?Infinity)/),
    });
    expect(existsSync(join(out, 'model.safetensors'))).toBe(false);
  });

  it('refuses what cannot be', async () => {
    const run = (change: object) =>
      pretrainRun(gpu, { ...settings(), ...change }, { resume: false, reporter: silent });
    await expect(run({ out: join(folder, 'n'), patchSize: 15 })).rejects.toThrow(
      /not a multiple of --patch-size 15/,
    );
    await expect(run({ out: join(folder, 'n'), visionWidth: 100 })).rejects.toThrow(
      /multiples of 64|width 100/,
    );
    await expect(run({ out: join(folder, 'n'), chunkSize: 3 })).rejects.toThrow(
      /not a multiple of --chunk-size 3/,
    );
    await expect(run({ out: join(folder, 'n'), batchSize: 512 })).rejects.toThrow(/are fewer than one batch/);
  });
});

it('draws many normal numbers as one by one', () => {
  expect([...normals(7, 3, 8)]).toEqual(Array.from({ length: 7 }, (_, i) => normal(3, 8, i)));
});
