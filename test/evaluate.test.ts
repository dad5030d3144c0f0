import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { evaluationTables } from '../src/cli/evaluation-table.ts';
import { guardDisk } from '../src/common/disk.ts';
import { figureText } from '../src/common/figure-text.ts';
import { streams, uniforms } from '../src/common/random.ts';
import { silent } from '../src/common/reporter.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { readCsv } from '../src/data/formats/csv.ts';
import { plcc, srcc } from '../src/data/metrics/correlation.ts';
import { evaluateSettings } from '../src/evaluation/evaluation.ts';
import { publishFold } from '../src/evaluation/fold-files.ts';
import { type EvaluationPlan, sweep } from '../src/evaluation/sweep.ts';
import { evaluationPage } from '../src/report/evaluation-page.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { runBuilt } from './built-command.ts';
import { sharedGpu } from './gpu.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('evaluate');
const images = join(folder, 'images');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
const plan: EvaluationPlan = {
  protocols: 'prompt,generator,few',
  folds: 3,
  seeds: [1],
  shots: [2],
  generators: 'whole',
};

// Six kinds of scenes, which stand for generators: twelve images each.
beforeAll(() => makeScenes(images, { scenes: 24, versions: 3, size: 64, seed: 3 }));

function settingsOf(out: string, changes: Partial<Settings> = {}): Settings {
  const values = {
    data: 'scenes',
    root: images,
    weights,
    trainer: 'image-only',
    hidden: 8,
    augment: 'none',
    optimizer: 'adamw',
    mosScaling: 'standard',
    epochs: 2,
    batchSize: 16,
    cache: join(folder, 'cache'),
    out: join(folder, out),
  };
  return applySettings(defaultSettings(), { ...values, ...changes }, 'test');
}

interface Told {
  readonly lines: string[];
  opened: number;
}

async function evaluated(
  settings: Settings,
  more: Partial<EvaluationPlan> & {
    against?: string;
    signal?: AbortSignal;
    line?: (text: string) => void;
  } = {},
) {
  const told: Told = { lines: [], opened: 0 };
  const { against, signal, line, ...changes } = more;
  const result = await evaluateSettings(
    settings,
    { ...plan, ...changes },
    {
      openGpu: () => {
        told.opened++;
        return sharedGpu();
      },
      reporter: {
        ...silent,
        line: (text) => {
          told.lines.push(text);
          line?.(text);
        },
      },
      resamples: 60,
      against,
      signal,
      resumeCommand: 'the command',
    },
  );
  return { result, told };
}

const foldsIn = (out: string) => readdirSync(join(folder, out, 'folds')).sort();
const foldOf = (out: string, name: string) =>
  JSON.parse(readFileSync(join(folder, out, 'folds', `${name}.json`), 'utf8')) as {
    names: string[];
    predictions: number[];
    epoch: number;
    val: number;
  };
const filesOf = (out: string) =>
  new Map(foldsIn(out).map((name) => [name, foldOf(out, name.slice(0, -5)).predictions]));

describe('an evaluation', () => {
  it('has the degraded versions of each image that any fold trains on', async () => {
    const changes = { cache: 'none', crops: 1, versions: 1, loss: 'mse+order', members: 2 };
    const { result } = await evaluated(settingsOf('degraded', changes), { protocols: 'prompt' });
    expect(result.rows.map(({ protocol, images }) => [protocol, images])).toEqual([['prompt', 72]]);
  });

  it('is trained in parts by several processes, and measured once all are done', async () => {
    const out = settingsOf('parts', { cache: 'none' });
    const train = async (part: number, of: number) => {
      const how = { openGpu: sharedGpu, reporter: silent, part: { part, of } };
      const { outcomes, total } = await sweep(out, { ...plan, protocols: 'prompt' }, how);
      return [outcomes.length, total];
    };
    expect(await train(1, 2)).toEqual([1, 3]);
    expect(foldsIn('parts')).toEqual(['prompt-2of3-seed1.json']);
    expect(await train(0, 2)).toEqual([3, 3]);
    const { told } = await evaluated(out, { protocols: 'prompt' });
    expect(told.opened).toBe(0);
    const args = ['--shard', '0/2', '--against', 'x', '--data', 'scenes', '--root', images];
    expect(runBuilt('evaluate', args).stderr).toMatch(/--shard trains folds, and --against compares/);
  });

  it('leaves folds, splits, predictions and a table, and trains nothing twice', async () => {
    const { result, told } = await evaluated(settingsOf('whole'));
    expect(foldsIn('whole')).toEqual([
      'few-2-draw1-seed1.json',
      ...['1', '2', '3', '4', '5', '6'].map((i) => `generator-${i}of6-seed1.json`),
      ...['1', '2', '3'].map((i) => `prompt-${i}of3-seed1.json`),
    ]);
    expect(told.lines.filter((line) => line.startsWith('features'))).toEqual([
      'features   72 encoded, 0 from the cache',
    ]);
    expect(result.rows.map(({ name, images: count, folds, unit }) => [name, count, folds, unit])).toEqual([
      ['unseen prompts', 72, 3, 'prompt'],
      ['unseen kind of scene', 72, 6, 'generator'],
      ['2 shots', 12, 1, 'image'],
    ]);
    const [prompt, generator] = result.rows;
    const figures = [1, 2, 3].map((i) => srccOf('whole', `prompt-${i}of3-seed1`));
    const mean = (await Promise.all(figures)).reduce((sum, value) => sum + value, 0) / 3;
    expect(prompt!.srcc.value).toBeCloseTo(mean, 12);
    expect(prompt!.srcc.interval[0]).toBeLessThan(mean);
    expect(prompt!.srcc.interval[1]).toBeGreaterThan(mean);
    expect(generator!.parts).toHaveLength(6);

    const table = await readCsv(join(folder, 'whole', 'predictions.csv'));
    expect(table.rows).toHaveLength(72 + 72 + 12);
    // The split files are read back as any CSV with a column of parts.
    const csv = join(folder, 'whole', 'splits', 'prompt-2of3.csv');
    const again = await openDataset({ name: 'csv', root: images, csv, splitColumn: 'split' });
    expect([...again.split.test].map((at) => again.samples[at]!.name)).toEqual(
      foldOf('whole', 'prompt-2of3-seed1').names,
    );
    const scene = (at: number) => again.samples[at]!.name.split('_')[1];
    const seen = new Set([...again.split.train].map(scene));
    for (const at of again.split.test) expect(seen.has(scene(at))).toBe(false);

    const before = filesOf('whole');
    const second = await evaluated(settingsOf('whole'), { protocols: 'all', seeds: [1] });
    expect(second.told.opened).toBe(1); // For the published split alone, which was not asked for.
    expect(second.told.lines.filter((line) => /seed 1:/.test(line))).toHaveLength(1);
    for (const [name, predictions] of before) expect(filesOf('whole').get(name)).toEqual(predictions);
    const third = await evaluated(settingsOf('whole'));
    expect(third.told.opened).toBe(0);
    const { finished, ...figuresAgain } = third.result;
    const { finished: earlier, ...figuresBefore } = result;
    expect(figuresAgain).toEqual(figuresBefore);
    expect(finished >= earlier).toBe(true);
    expect(evaluationTables(second.result)).toMatch(
      /unseen kind of scene +72 .*kind of scene [\s\S]*cross: not done/,
    );
  });

  it('goes on after it was stopped or killed, to the same bits', async () => {
    const stopping = new AbortController();
    const line = (text: string) => /^prompt +2 of 3/.test(text) && stopping.abort();
    await expect(evaluated(settingsOf('stopped'), { signal: stopping.signal, line })).rejects.toThrow(
      'after 2 of 10 folds; continue with: the command',
    );
    expect(foldsIn('stopped')).toHaveLength(2);
    // Killed as the next fold is about to get its name: what it leaves is cleared away.
    const release = guardDisk(({ kind, path }) => {
      if (kind === 'link' && path.includes('prompt-3of3')) throw new Error('killed');
    });
    await expect(evaluated(settingsOf('stopped'))).rejects.toThrow('killed');
    release();
    const { told } = await evaluated(settingsOf('stopped'));
    expect(told.lines).toContain('folds      10, 2 of them trained already');
    const undisturbed = filesOf('whole');
    undisturbed.delete('published-seed1.json');
    expect(filesOf('stopped')).toEqual(undisturbed);
  });

  it('keeps what another process published first', async () => {
    const dataset = await openDataset({ name: 'scenes', root: images });
    const split = { train: Int32Array.of(0), val: new Int32Array(), test: Int32Array.of(1) };
    const fold = { protocol: 'cross', id: 'cross', label: 'all', split, dropped: 0 } as const;
    const result = (prediction: number) => ({
      adapter: 'one',
      train: 1,
      val: 0,
      epoch: 1,
      seconds: prediction,
      names: [dataset.samples[1]!.name],
      predictions: [prediction],
    });
    const place = join(folder, 'shared');
    const published = [];
    for (const prediction of [3, 4])
      published.push((await publishFold(place, fold, 1, dataset, result(prediction))).predictions);
    expect(published).toEqual([[3], [3]]);
    expect(readdirSync(place)).toEqual(['folds']);
  });
});

describe('no epoch is chosen on the test part', () => {
  it('by a validation part, the same whatever the test scores are', async () => {
    // All epochs at the rate of the warm-up, so that a run of fewer epochs begins in the same way.
    const rate = { warmupEpochs: 6, warmupLr: 0.02 };
    const changes = { ...rate, finalModel: 'best_val', valSize: 0.25, epochs: 6 } as const;
    await evaluated(settingsOf('chosen', changes), { protocols: 'prompt' });
    const csv = join(folder, 'turned.csv');
    const tested = new Set(foldOf('chosen', 'prompt-1of3-seed1').names);
    // The test part's scores upside down: any use of them before the end would choose another epoch.
    const dataset = await openDataset({ name: 'scenes', root: images });
    const rows = dataset.samples.map(({ name, mos, content }) => [
      name,
      tested.has(name) ? 6 - mos : mos,
      content,
    ]);
    writeFileSync(csv, `name,mos,prompt\n${rows.map((row) => row.join()).join('\n')}\n`);
    const turned = settingsOf('turned', { ...changes, data: 'csv', csv, root: images });
    await evaluated(turned, { protocols: 'prompt' });
    const [one, two] = ['chosen', 'turned'].map((out) => foldOf(out, 'prompt-1of3-seed1'));
    expect(one!.val).toBeGreaterThan(0);
    expect(two!.names.toSorted()).toEqual(one!.names.toSorted());
    const place = (name: string) => two!.names.indexOf(name);
    expect(one!.names.map((name) => two!.predictions[place(name)])).toEqual(one!.predictions);
    expect(two!.epoch).toBe(one!.epoch);
    // The other folds train on the turned scores, and do differ.
    expect(foldOf('turned', 'prompt-2of3-seed1').predictions).not.toEqual(
      foldOf('chosen', 'prompt-2of3-seed1').predictions,
    );
    const epochs = [1, 2, 3].map((i) => foldOf('chosen', `prompt-${i}of3-seed1`).epoch);
    const early = epochs.findIndex((epoch) => epoch < 6) + 1;
    expect(early).toBeGreaterThan(0);
    // What is tested is the model of that epoch: that of a run which ends with it.
    const shorter = settingsOf('shorter', { ...changes, epochs: epochs[early - 1]! });
    await evaluated(shorter, { protocols: 'prompt' });
    const name = `prompt-${early}of3-seed1`;
    expect(foldOf('shorter', name).predictions).toEqual(foldOf('chosen', name).predictions);
  });
});

describe('two evaluations', () => {
  it('are compared on the same images and draws', async () => {
    const settings = settingsOf('other', { hidden: 16, lr: 0.01 });
    await evaluated(settings, { protocols: 'prompt', seeds: [1, 2] });
    const { result } = await evaluated(settingsOf('whole'), {
      protocols: 'prompt',
      against: join(folder, 'other'),
    });
    const [row] = result.paired!.rows;
    // The same in float64 from the files: prompts drawn in each fold, seeds averaged, folds averaged.
    const dataset = await openDataset({ name: 'scenes', root: images });
    const mos = new Map(dataset.samples.map((sample) => [sample.name, sample.mos]));
    const content = new Map(dataset.samples.map((sample) => [sample.name, sample.content!]));
    const cells = [1, 2, 3].map((i) => {
      const mine = foldOf('whole', `prompt-${i}of3-seed1`);
      const theirs = [1, 2].map((seed) => foldOf('other', `prompt-${i}of3-seed${seed}`));
      const prompts = [...new Set(mine.names.map((name) => content.get(name)!))];
      return { mine, theirs, prompts };
    });
    const difference = (
      metric: typeof srcc,
      { mine, theirs }: (typeof cells)[0],
      names: readonly string[],
    ) => {
      const scores = names.map((name) => mos.get(name)!);
      const of = (file: typeof mine) =>
        metric(
          names.map((name) => file.predictions[file.names.indexOf(name)]!),
          scores,
        );
      return of(mine) - (of(theirs[0]!) + of(theirs[1]!)) / 2;
    };
    const draws = Array.from({ length: 60 }, (_, r) => {
      const units = cells.reduce((sum, { prompts }) => sum + prompts.length, 0);
      const drawn = [...uniforms(units, 1, streams.bootstrap + r)];
      return (metric: typeof srcc) => {
        let at = 0;
        let sum = 0;
        for (const cell of cells) {
          const names = cell.prompts.flatMap(() => {
            const prompt = cell.prompts[Math.floor(drawn[at++]! * cell.prompts.length)];
            return cell.mine.names.filter((name) => content.get(name) === prompt);
          });
          sum += difference(metric, cell, names) / 3;
        }
        return sum;
      };
    });
    for (const [name, metric] of [
      ['srcc', srcc],
      ['plcc', plcc],
    ] as const) {
      const whole = cells.reduce((sum, cell) => sum + difference(metric, cell, cell.mine.names) / 3, 0);
      expect(row![name].value).toBeCloseTo(whole, 12);
      const sorted = draws.map((draw) => draw(metric)).sort((a, b) => a - b);
      expect(row![name].interval[0]).toBeCloseTo(sorted[Math.floor(0.025 * 60)]!, 12);
      expect(row![name].interval[1]).toBeCloseTo(sorted[Math.floor(0.975 * 60)]!, 12);
    }
    const page = evaluationPage({ ...result, refused: [{ protocol: 'cross', reason: 'no <b>' }] });
    expect(page).toContain('Paired differences');
    expect(page).toContain(figureText(row!.srcc.value, 3));
    expect(page).toContain('cross: not done, no &lt;b&gt;');
    expect(page).not.toMatch(/(?:src|href)=/);
    // Folds that the other lacks are named, not compared.
    const wider = await evaluated(settingsOf('whole'), { against: join(folder, 'other') });
    expect(wider.result.paired!.rows.map(({ name }) => name)).toEqual(['unseen prompts']);
    expect(wider.result.paired!.notes).toHaveLength(2);
  });
});

it('another dataset is tested with, and learned from by none', async () => {
  const others = join(folder, 'others');
  await makeScenes(others, { scenes: 6, versions: 2, size: 64, seed: 9 });
  const cross = applySettings(defaultSettings(), { data: 'scenes', root: others }, 'test');
  const { result } = await evaluated(settingsOf('cross', { trainer: 'zero-shot' }), {
    protocols: 'cross',
    cross,
  });
  expect(result.rows.map(({ images: count, unit }) => [count, unit])).toEqual([[12, 'prompt']]);
  expect(result.rows[0]!.rmse).toBeNaN();
  expect(foldOf('cross', 'cross-seed1').names).toHaveLength(12);
});

describe('mistakes', () => {
  it('of settings, data and folders are refused before anything is trained', async () => {
    const refused = async (settings: Settings, pattern: RegExp, more = {}) =>
      expect(evaluated(settings, more)).rejects.toThrow(pattern);
    await refused(settingsOf('whole', { lr: 0.5 }), /holds an evaluation with --lr 0\.002, not 0\.5/);
    await refused(settingsOf('whole', { limit: 40 }), /--limit 0, not 40/);
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full', 'mine.txt'), '');
    await refused(settingsOf('full'), /holds other files \(mine\.txt\)/);
    expect(readdirSync(join(folder, 'full'))).toEqual(['mine.txt']);
    mkdirSync(join(folder, 'linked'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'linked', 'results.json'));
    await refused(settingsOf('linked'), /is a symbolic link/);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
    await refused(settingsOf('none'), /unknown protocol/, { protocols: 'all,prompt' });
    const path = join(folder, 'whole', 'folds', 'prompt-1of3-seed1.json');
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, good.replace('"predictions":[', '"predictions":[1,'));
    await refused(settingsOf('whole'), /has 24 names and 25 predictions/);
    writeFileSync(path, good.replace(/"digest":"../, '"digest":"zz'));
    await refused(settingsOf('whole'), /is of other images, scores or folds/);
    writeFileSync(path, good);
  });
});

async function srccOf(out: string, name: string): Promise<number> {
  const dataset = await openDataset({ name: 'scenes', root: images });
  const scores = new Map(dataset.samples.map((sample) => [sample.name, sample.mos]));
  const { names, predictions } = foldOf(out, name);
  return srcc(
    predictions,
    names.map((image) => scores.get(image)!),
  );
}

it('is a command with help, errors in one line and results as JSON', () => {
  const help = runBuilt('evaluate', ['--help']).stdout;
  for (const word of ['--protocols', '--against', 'node dist/evaluate.js --config small_clip_quality'])
    expect(help).toContain(word);
  const cache = join(folder, 'cache');
  const given = [
    '--data',
    'scenes',
    '--root',
    images,
    '--weights',
    weights,
    '--cache',
    cache,
    '--trainer',
    'image-only',
  ];
  const wrong = (...args: string[]) => {
    const { status, stderr } = runBuilt('evaluate', [...given, ...args]);
    return [status, stderr.split('\n').find((line) => line.startsWith('error'))];
  };
  expect(wrong('--folds', '1')).toEqual([1, 'error: --folds takes an integer of at least 2']);
  expect(wrong('--shots', '4,x')).toEqual([
    1,
    'error: --shots takes distinct integers of at least 1, not 4,x',
  ]);
  const out = join(folder, 'by-command');
  const { status, stdout, stderr } = runBuilt('evaluate', [
    ...[...given, '--augment', 'none', '--epochs', '1', '--protocols', 'prompt', '--folds', '2'],
    ...['--out', out, '--resamples', '20', '--json', '--against', join(folder, 'other')],
  ]);
  expect(stderr).toMatch(/unseen prompts +72 +2 +1/);
  expect(status).toBe(0);
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('unseen prompts');
  const result = JSON.parse(stdout);
  expect(result.rows[0].srcc.interval).toHaveLength(2);
  expect(result.paired.notes).toHaveLength(1);
});
