import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import {
  datasetOptions,
  type EpochRecord,
  evaluateModel,
  openDataset,
  Scorer,
  type Settings,
  Stopped,
  train,
} from '../src/index.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('library-training');
const images = join(folder, 'images');
const at = (...path: string[]) => join(folder, ...path);

beforeAll(() => makeScenes(images, { scenes: 10, versions: 3, size: 32, seed: 3 }));

/** A head on the image alone: an epoch takes milliseconds. */
const settingsOf = (out: string, changes: Partial<Settings> = {}): Partial<Settings> => ({
  data: 'csv',
  csv: join(images, 'data.csv'),
  root: images,
  splitColumn: 'split',
  weights: resolve('test/fixtures/tiny-clip.json'),
  trainer: 'image-only',
  augment: 'none',
  epochs: 4,
  batchSize: 4,
  cache: at('cache'),
  out: at(out),
  ...changes,
});
const timeless = (records: readonly EpochRecord[]) => records.map((record) => ({ ...record, seconds: 0 }));
const predictions = (out: string) => readFileSync(at(out, 'predictions.csv'), 'utf8');

it('a program trains, hears of each epoch, and evaluates the model that it gets', async () => {
  const gpu = await sharedGpu();
  const records: EpochRecord[] = [];
  const { model, summary } = await train(gpu, settingsOf('whole'), {
    onEpoch: async (record) => {
      // Its checkpoint is on the disk by now, and it is waited for.
      expect(existsSync(at('whole', 'checkpoint.safetensors'))).toBe(true);
      await new Promise((go) => setTimeout(go, 5));
      records.push(record);
    },
  });
  expect(records.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  const lines = readFileSync(at('whole', 'metrics.jsonl'), 'utf8').trim().split('\n');
  expect(records).toEqual(lines.map((line) => JSON.parse(line)));
  expect(model).toBe(at('whole', 'model.safetensors'));
  const scorer = await Scorer.load(gpu, model);
  const dataset = await openDataset(datasetOptions(scorer.settings));
  const { evaluation, rows, skipped } = await evaluateModel(scorer, dataset);
  const ofTraining = await evaluateModel(scorer, dataset, { part: 'train' });
  const stop = AbortSignal.abort();
  await expect(evaluateModel(scorer, dataset, { signal: stop })).rejects.toThrow(Stopped);
  await expect(evaluateModel(scorer, dataset, { part: 'val' })).rejects.toThrow('csv has no val set');
  await scorer.close();
  expect([rows.length, ofTraining.rows.length, skipped]).toEqual([summary.images.test, 24, []]);
  expect(evaluation.overall.srcc).toBe(summary.test!.overall.srcc);
  expect(evaluation.overall.rmse).toBeCloseTo(summary.test!.overall.rmse, 5);
});

it('a run stops before its next step, and goes on to the same results', async () => {
  const gpu = await sharedGpu();
  const stop = new AbortController();
  let steps = 0;
  const reporter = {
    line: () => {},
    bar: (label: string) => ({
      advance: () => {
        // In the midst of the third of six steps an epoch.
        if (label === 'training' && ++steps === 15) stop.abort();
      },
      stop: () => {},
    }),
  };
  const heard: EpochRecord[] = [];
  const onEpoch = (record: EpochRecord) => void heard.push(record);
  const options = { onEpoch, reporter, signal: stop.signal };
  const error = await train(gpu, settingsOf('stopped'), options).catch((reason) => reason);
  expect(error).toBeInstanceOf(Stopped);
  expect(error.done).toBe('after epoch 2 of 4');
  expect(steps).toBe(15);
  const unlucky = train(
    gpu,
    { out: at('stopped') },
    { resume: true, onEpoch: () => Promise.reject(new Error('no')) },
  );
  await expect(unlucky).rejects.toThrow(/^no$/);
  // With its own settings, but for those given.
  await train(gpu, { out: at('stopped') }, { resume: true, onEpoch });
  expect(heard.map(({ epoch }) => epoch)).toEqual([1, 2, 4]);
  const { summary } = await train(gpu, settingsOf('undisturbed'));
  expect(predictions('stopped')).toBe(predictions('undisturbed'));
  expect(summary.epochs).toBe(4);
  const lines = (out: string) =>
    readFileSync(at(out, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  expect(timeless(lines('stopped'))).toEqual(timeless(lines('undisturbed')));
});

it('settings that make no sense are refused before anything is written', async () => {
  const gpu = await sharedGpu();
  const tried = (settings: object, options = {}) =>
    train(gpu, { ...settingsOf('refused'), ...settings } as Partial<Settings>, options);
  await expect(tried({ epoch: 3 })).rejects.toThrow(/^settings: .*epoch/);
  await expect(tried({ epochs: 'three' })).rejects.toThrow(/^settings: epochs/);
  await expect(tried({ data: 'nothing' })).rejects.toThrow(/unknown dataset "nothing"/);
  await expect(train(gpu, undefined as never)).rejects.toThrow('settings are given as an object');
  await expect(tried({}, { resume: true })).rejects.toMatchObject({ name: 'UserError' });
  expect(existsSync(at('refused'))).toBe(false);
});

it('the library prints nothing, handles no signals, and leaves the process to its program', () => {
  const program = at('program.mjs');
  writeFileSync(
    program,
    `import { ClipEncoder, openGpu, Scorer, train } from ${JSON.stringify(pathToFileURL(resolve('dist/index.js')).href)};
    const events = () => process.eventNames().map(String).sort().join();
    const before = events();
    const gpu = await openGpu();
    const settings = ${JSON.stringify(settingsOf('quiet', { epochs: 1 }))};
    const { model } = await train(gpu, settings);
    const scorer = await Scorer.load(gpu, model);
    let count = 0;
    for await (const result of scorer.score([${JSON.stringify(images)}, settings.csv])) if ('error' in result) count++;
    await scorer.close();
    const failed = await train(gpu, settings).catch(({ name }) => name);
    gpu.close();
    process.stderr.write('\\n' + JSON.stringify({ count, failed, events: events() === before || events(), code: process.exitCode ?? 0 }));`,
  );
  for (const stdout of ['pipe', 'ignore'] as const) {
    if (stdout === 'ignore')
      writeFileSync(program, readFileSync(program, 'utf8').replaceAll('quiet', 'closed'));
    const run = spawnSync(process.execPath, [program], {
      encoding: 'utf8',
      stdio: ['ignore', stdout, 'pipe'],
      timeout: 60_000,
    });
    expect(run, run.stderr).toMatchObject({ status: 0, signal: null });
    expect(run.stdout ?? '').toBe('');
    expect(JSON.parse(run.stderr.trim().split('\n').at(-1)!)).toEqual({
      count: 2,
      failed: 'UserError',
      events: true,
      code: 0,
    });
  }
});
