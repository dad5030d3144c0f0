import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { type Reporter, silent } from '../src/common/reporter.ts';
import { openDataset, writeSplitCsv } from '../src/data/datasets/index.ts';
import { readCsv } from '../src/data/formats/csv.ts';
import { writeReport } from '../src/report/write-report.ts';
import { type ClassifiedImage, Classifier } from '../src/scoring/classifier.ts';
import { contextWords } from '../src/scoring/learned-context.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { readCheckpoint } from '../src/training/checkpoint.ts';
import { trainRun } from '../src/training/run.ts';
import { trainSeeds } from '../src/training/seeds.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { runBuilt } from './built-command.ts';
import { sharedGpu } from './gpu.ts';
import { merged, work } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Images that belong to classes instead of having scores: plain colors, which even a tiny CLIP can learn to tell apart. */
const folder = temporaryFolder('classification-');
const weights = fileURLToPath(new URL('./fixtures/tiny-clip.json', import.meta.url));
const classes = ['blue', 'dark red', 'green'];
const colors = [
  [20, 30, 220],
  [150, 10, 20],
  [30, 200, 40],
] as const;
const csv = join(folder, 'labels.csv');

beforeAll(async () => {
  mkdirSync(join(folder, 'images'));
  const rows = ['name,label,part'];
  for (let i = 0; i < 30; i++) {
    const [r, g, b] = colors[i % 3]!;
    const background = { r: r + i, g: g + i, b: b + i };
    await sharp({ create: { width: 40, height: 40, channels: 3, background } })
      .png()
      .toFile(join(folder, 'images', `${i}.png`));
    rows.push(`${i}.png,${classes[i % 3]},${i < 18 ? 'train' : i < 24 ? 'val' : 'test'}`);
  }
  writeFileSync(csv, `${rows.join('\n')}\n`);
});

const data = { csv, root: join(folder, 'images'), splitColumn: 'part', classColumn: 'label' };
function settingsOf(out: string, changes: Partial<Settings> = {}): Settings {
  const values = {
    ...data,
    data: 'csv',
    trainer: 'coop',
    weights,
    batchSize: 6,
    views: 1,
    nCtx: 3,
    cache: 'none',
  };
  return applySettings(defaultSettings(), { ...values, out: join(folder, out), ...changes }, 'test');
}
const train = async (settings: Settings, reporter: Reporter = silent) =>
  trainRun(await sharedGpu(), settings, { resume: false, reporter });

describe('the csv dataset', () => {
  it('reads classes by name, in alphabetical order', async () => {
    const dataset = await openDataset({ name: 'csv', ...data });
    expect(dataset.classNames).toEqual(classes);
    expect(dataset.target).toBe('label');
    expect(dataset.samples.slice(0, 4).map(({ mos }) => mos)).toEqual([0, 1, 2, 0]);
    expect(dataset.thresholds).toEqual([0.5, 1.5]);
    await writeSplitCsv(join(folder, 'split.csv'), dataset);
    const written = await readCsv(join(folder, 'split.csv'));
    expect(written.columns).toEqual(['name', 'class', 'split']);
    expect(written.rows[1]!.fields).toEqual({ name: '1.png', class: 'dark red', split: 'train' });
    const few = await openDataset({ name: 'csv', ...data, shots: 2 });
    expect(Array.from(few.split.train, (at) => few.samples[at]!.mos).sort()).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it('refuses a row without a class, and a single class', async () => {
    const path = join(folder, 'bad.csv');
    writeFileSync(path, 'name,label\n0.png,a\n1.png,\n');
    const options = { name: 'csv', csv: path, root: data.root, classColumn: 'label' };
    await expect(openDataset(options)).rejects.toThrow(/bad\.csv, line 3: label is empty/);
    writeFileSync(path, 'name,label\n0.png,a\n1.png,a\n');
    await expect(openDataset(options)).rejects.toThrow(/all images are of one class, a/);
  });
});

describe('CoOp', () => {
  it('learns to tell the classes apart, and reports accuracy instead of scores', async () => {
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => void lines.push(text) };
    const settings = settingsOf('coop', {
      epochs: 30,
      lr: 0.2,
      classSpecific: true,
      finalModel: 'best_val',
    });
    const summary = await train(settings, reporter);
    expect(lines[0]).toBe('classes    label: 3 (blue, dark red, green), 30 images');
    expect(lines.find((line) => line.startsWith('untrained'))).toMatch(/^untrained {2}accuracy \d+\.\d%$/);
    expect(lines.find((line) => line.startsWith('epoch  1/30'))).toMatch(
      /loss [\d.]+ {2}val accuracy [\d.]+% \(best\) {2}accuracy [\d.]+%$/,
    );
    expect(summary.test).toBeNull();
    expect(summary.before).toBeNull();
    expect(summary.readings).toBeUndefined();
    expect(summary.accuracy).toBe(1);
    expect(summary.classes).toEqual(classes.map((name) => ({ name, n: 2, accuracy: 1 })));
    const model = await readCheckpoint(join(folder, 'coop', 'model.safetensors'));
    expect(model.words).toEqual(classes);
    // The first epoch with the best accuracy is kept.
    const accuracies = model.state.records.map(({ accuracy }) => accuracy!.val!);
    const best = accuracies.indexOf(Math.max(...accuracies)) + 1;
    expect(model.state.best).toEqual({ epoch: best, accuracy: Math.max(...accuracies) });
    expect(summary.finalEpoch).toBe(best);
    expect(model.state.records.every(({ val, test }) => val === null && test === null)).toBe(true);
    const { rows } = await readCsv(join(folder, 'coop', 'predictions.csv'));
    expect(rows.map(({ fields }) => [fields.name, fields.class, fields.prediction])).toEqual(
      [24, 25, 26, 27, 28, 29].map((i) => [`${i}.png`, classes[i % 3], classes[i % 3]]),
    );
  });

  it('goes on where it stopped, and only on the same classes', async () => {
    const settings = settingsOf('resumed', { epochs: 2 });
    await train(settings);
    const resumed = await trainRun(
      await sharedGpu(),
      { ...settings, epochs: 3 },
      { resume: true, reporter: silent },
    );
    expect(resumed.epochs).toBe(3);
    const renamed = join(folder, 'renamed.csv');
    writeFileSync(renamed, readFileSync(csv, 'utf8').replaceAll('blue', 'azure'));
    await expect(
      trainRun(
        await sharedGpu(),
        { ...settings, csv: renamed, epochs: 4 },
        { resume: true, reporter: silent },
      ),
    ).rejects.toThrow(/was trained on other data/);
  });

  it('has the contexts of classes by name', async () => {
    await train(settingsOf('csc', { epochs: 1, classSpecific: true }));
    const { contexts } = await contextWords(join(folder, 'csc'), { top: 1 });
    expect(contexts.map(({ word }) => word)).toEqual(classes);
  });

  it('compares seeds by accuracy', async () => {
    const summary = await trainSeeds(await sharedGpu(), settingsOf('seeds', { epochs: 1 }), [1, 2], {
      resume: false,
      reporter: silent,
    });
    expect(summary.runs.map((run) => Object.keys(run))).toEqual(
      Array(2).fill(['seed', 'folder', 'accuracy']),
    );
    const [a, b] = summary.runs.map(({ accuracy }) => accuracy!) as [number, number];
    expect(summary.mean).toEqual({ accuracy: (a + b) / 2 });
  });

  it('has a report of classes', async () => {
    const page = readFileSync(await writeReport(join(folder, 'coop')), 'utf8');
    expect(page).toContain('Classes of the test set');
    expect(page).toContain('<th scope="row">dark red</th>');
    expect(page).toContain('label: 3');
    expect(page).not.toMatch(/SRCC|There is no test set/);
  });
});

describe('other trainers', () => {
  it('tell classes apart without training: zero-shot', async () => {
    const settings = settingsOf('zero', { trainer: 'zero-shot', template: 'a {word} image' });
    const summary = await train(settings);
    expect(summary.test).toBeNull();
    expect(summary.accuracy).toBeGreaterThanOrEqual(0);
    expect(summary.readings).toBeUndefined();
    expect((await readCheckpoint(join(folder, 'zero', 'model.safetensors'))).words).toEqual(classes);
  });

  it.each([
    [{ trainer: 'clip-agiqa' }, /the trainer clip-agiqa learns scores, not classes/],
    [{ trainer: 'image-only' }, /the trainer image-only learns scores, not classes/],
    [{ words: 'a,b' }, /--class-column and --words exclude each other/],
    [{ trainer: 'zero-shot', scoreBy: 'antonyms' }, /--class-column and --score-by antonyms exclude/],
  ] as [Partial<Settings>, RegExp][])('refuses %j', async (changes, message) => {
    const failure = await train(settingsOf('refused', changes)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as UserError).message).toMatch(message);
  });

  it('warns of a class without a training image', async () => {
    const path = join(folder, 'unseen.csv');
    writeFileSync(path, readFileSync(csv, 'utf8').replace('29.png,green', '29.png,purple'));
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => void lines.push(text) };
    await train(settingsOf('unseen', { csv: path, epochs: 1, warmupEpochs: 0 }), reporter);
    expect(lines.filter((line) => line.startsWith('warning'))).toEqual([
      'warning    there is no training image of purple',
    ]);
  });
});

describe('a model of classes', () => {
  const tests = [24, 25, 26, 27, 28, 29].map((i) => `${i}.png`);
  const paths = tests.map((name) => join(folder, 'images', name));

  it('classifies images as its run did, by name', async () => {
    for (const run of ['coop', 'zero']) {
      const classifier = await Classifier.load(await sharedGpu(), join(folder, run));
      expect(classifier.classes).toEqual(classes);
      const found: ClassifiedImage[] = [];
      for await (const result of classifier.classify([...paths, '/nowhere.png'])) found.push(result);
      const given = await Promise.all(
        paths.map(async (path, i) => {
          if (i % 2 === 0) return { name: path, image: readFileSync(path) };
          const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
          return { name: path, image: { data, ...info } };
        }),
      );
      const ofBytes: ClassifiedImage[] = [];
      for await (const result of classifier.classify(given)) ofBytes.push(result);
      expect(ofBytes).toEqual(found.slice(0, 6));
      await classifier.close();
      const { rows } = await readCsv(join(folder, run, 'predictions.csv'));
      expect(found.slice(0, 6).map((result) => 'class' in result && result.class)).toEqual(
        rows.map(({ fields }) => fields.prediction),
      );
      for (const result of found.slice(0, 6)) {
        const { probability } = result as { probability: number };
        expect(probability).toBeGreaterThanOrEqual(1 / 3);
        expect(probability).toBeLessThanOrEqual(1);
      }
      expect(found[6]).toMatchObject({ index: 6, error: expect.stringMatching(/ENOENT/) });
    }
  });

  it('is no scorer, and a scorer is none', async () => {
    await expect(Scorer.load(await sharedGpu(), join(folder, 'coop'))).rejects.toThrow(
      /tells classes apart, it does not score/,
    );
    const scores = join(folder, 'scores.csv');
    writeFileSync(scores, `name,mos\n${Array.from({ length: 30 }, (_, i) => `${i}.png,${i}`).join('\n')}\n`);
    await train(settingsOf('scores', { csv: scores, classColumn: '', splitColumn: '', epochs: 1 }));
    await expect(Classifier.load(await sharedGpu(), join(folder, 'scores'))).rejects.toThrow(
      /does not tell classes apart/,
    );
  });

  it('classifies in shards, to the bytes of one process; a column of a list keeps apart', async () => {
    const model = ['--model', join(folder, 'coop')];
    const plan = (name: string, ...args: string[]) =>
      runBuilt('score', [...args, ...model, '--out', join(folder, name), '--shard-size', '4', '--plan-only']);
    const images = [...paths, join(folder, 'none.png')];
    writeFileSync(images.at(-1)!, 'no image');
    expect(plan('shards', ...images).status).toBe(0);
    await work(join(folder, 'shards'));
    const plain = runBuilt('score', [...images, ...model, '--csv', '-']).stdout;
    expect(plain.split('\n')).toHaveLength(9);
    expect(await merged(join(folder, 'shards'))).toBe(plain);
    const list = join(folder, 'classes.csv');
    writeFileSync(list, `name,class,prompt\n${paths[0]},theirs,a cat\n`);
    expect(plan('listed', '--list', list, '--root', folder).status).toBe(0);
    await work(join(folder, 'listed'));
    expect(await merged(join(folder, 'listed'))).toMatch(
      /^path,class,probability,list_class,prompt,error\n.*24\.png,blue,[\d.]+,theirs,a cat,\n$/,
    );
    expect(plan('refused', ...images, '--exif').stderr).toContain('--exif, --sort and --prompt-column');
  });

  it('is read by the score and eval commands', () => {
    const run = (command: string, ...args: string[]) =>
      execFileSync(process.execPath, [`dist/${command}.js`, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const model = ['--model', join(folder, 'coop')];
    expect(run('score', ...paths.slice(0, 2), ...model)).toMatch(
      /24\.png +blue +[01]\.\d{4}\n.*25\.png +dark red /,
    );
    expect(run('score', ...paths, ...model, '--csv', '-').split('\n')[0]).toBe(
      'path,class,probability,error',
    );
    expect(JSON.parse(run('score', paths[2]!, ...model, '--json'))).toMatchObject({
      index: 0,
      class: 'green',
    });
    const list = join(folder, 'prompts.csv');
    writeFileSync(list, `name,prompt\n${paths[0]},a cat\n`);
    const listed = runBuilt('score', ['--list', list, ...model]);
    expect(listed.stdout).toMatch(/24\.png +blue /);
    expect(listed.stderr).toContain('the prompts of the list are not used');
    const asked = runBuilt('score', ['--list', list, '--prompt-column', 'prompt', ...model]);
    expect(asked).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--prompt-column are for scores'),
    });
    expect(() => run('export', model[1]!, '--out', join(folder, 'a.onnx'))).toThrow(/Command failed/);
    expect(run('eval', ...model)).toMatch(/^all +6 +1\.0000$/m);
    expect(JSON.parse(run('eval', ...model, '--json', '--part', 'val'))).toMatchObject({
      accuracy: 1,
      skipped: [],
    });
  });
});
