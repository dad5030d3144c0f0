import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsFrom } from '../src/cli/settings-options.ts';
import { UserError } from '../src/common/errors.ts';
import { type Dataset, type DatasetOptions, openDataset, writeSplitCsv } from '../src/data/datasets/index.ts';
import { classOf, trainTestSplit } from '../src/data/datasets/splits.ts';
import { decodeImage } from '../src/data/images/decode.ts';
import { applySettings, defaultSettings } from '../src/training/settings.ts';

const sample = (name: string) => fileURLToPath(new URL(`./fixtures/datasets/${name}`, import.meta.url));

/** A folder that a test may damage. */
let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'dataset-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));
function copyOf(name: string): string {
  const root = join(scratch, name);
  cpSync(sample(name), root, { recursive: true });
  return root;
}

async function failureOf(options: DatasetOptions): Promise<UserError> {
  const failure = await openDataset(options).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  return failure as UserError;
}

const names = (dataset: Dataset, part: keyof Dataset['split']) =>
  Array.from(dataset.split[part], (at) => dataset.samples[at]!.name);

describe('agiqa-3k', () => {
  it('reads quality with the published split and bounds', async () => {
    const dataset = await openDataset({ name: 'agiqa-3k', root: sample('agiqa-3k') });
    expect([dataset.name, dataset.target]).toEqual(['agiqa-3k', 'quality']);
    expect(dataset.samples.length).toBe(12);
    expect(dataset.samples[4]).toMatchObject({ name: 'sd1.5_normal_004.jpg', mos: 1.7, generator: 'sd1.5' });
    expect(dataset.samples[3]!.prompt).toBe('a square, on a gradient');
    const { train, test } = trainTestSplit(12, 0.2, 42);
    expect([dataset.split.train, dataset.split.test]).toEqual([train, test]);
    expect(dataset.split.val.length).toBe(0);
    expect(dataset.thresholds).toEqual([1.231, 2.266, 2.749, 3.092, 3.456]);
    expect(dataset.range[0]).toBe(0.5);
    expect(dataset.range[1]).toBeCloseTo(3.8);
    expect(dataset.missing).toEqual([]);
    const first = dataset.samples[0]!.path;
    expect((await decodeImage(readFileSync(first), first)).width).toBe(32);
  });

  it('reads alignment', async () => {
    const dataset = await openDataset({ name: 'agiqa-3k', root: sample('agiqa-3k'), target: 'alignment' });
    expect(dataset.samples[4]!.mos).toBe(3);
    expect(dataset.thresholds).toEqual([0.5, 1.5, 2.5, 3.5, 4.5]);
  });

  it('finds images in any sub-folder', async () => {
    const root = copyOf('agiqa-3k');
    mkdirSync(join(root, 'deep/images'), { recursive: true });
    for (const file of readdirSync(root).filter((f) => f.endsWith('.jpg')))
      renameSync(join(root, file), join(root, 'deep/images', file));
    const dataset = await openDataset({ name: 'agiqa-3k', root });
    expect(dataset.missing).toEqual([]);
    expect(dataset.samples[0]!.path).toBe(join(root, 'deep/images/AttnGAN_normal_000.jpg'));
  });

  it('reports a missing image, without moving the others between the parts', async () => {
    const root = copyOf('agiqa-3k');
    rmSync(join(root, 'DALLE2_normal_001.jpg'));
    const whole = await openDataset({ name: 'agiqa-3k', root: sample('agiqa-3k') });
    const dataset = await openDataset({ name: 'agiqa-3k', root });
    expect(dataset.missing).toEqual(['DALLE2_normal_001.jpg']);
    expect(dataset.samples.length).toBe(11);
    for (const part of ['train', 'test'] as const)
      expect(names(dataset, part)).toEqual(
        names(whole, part).filter((name) => name !== 'DALLE2_normal_001.jpg'),
      );
  });

  it('counts an image once, whatever links lead to it', async () => {
    const root = copyOf('agiqa-3k');
    mkdirSync(join(root, 'images'));
    for (const file of readdirSync(root).filter((f) => f.endsWith('.jpg')))
      renameSync(join(root, file), join(root, 'images', file));
    symlinkSync('..', join(root, 'images', 'loop'));
    symlinkSync('images', join(root, 'again'));
    const dataset = await openDataset({ name: 'agiqa-3k', root });
    expect(dataset.missing).toEqual([]);
    expect(dataset.samples.length).toBe(12);
  });

  it('refuses a name that two images bear', async () => {
    const root = copyOf('agiqa-3k');
    for (const folder of ['a', 'b'])
      cpSync(join(root, 'DALLE2_normal_001.jpg'), join(root, folder, 'DALLE2_normal_001.jpg'));
    rmSync(join(root, 'DALLE2_normal_001.jpg'));
    expect((await failureOf({ name: 'agiqa-3k', root })).message).toMatch(/more than once/);
  });

  it('says what it expected where the layout is another', async () => {
    const failure = await failureOf({ name: 'agiqa-3k', root: sample('agin') });
    expect(failure.message).toMatch(/no data\.csv; found MOS\.csv, images\/$/);
    expect(failure.advice).toMatch(/data\.csv \(columns name, prompt, mos_quality/);
    expect((await failureOf({ name: 'agiqa-3k', root: join(scratch, 'none') })).message).toMatch(
      /no such folder/,
    );
    expect((await failureOf({ name: 'agiqa-3k', root: scratch })).message).toMatch(/an empty folder/);
    expect((await failureOf({ name: 'agiqa-3k' })).advice).toMatch(/--root/);
  });

  it('says when none of the images is there', async () => {
    const root = join(scratch, 'bare');
    mkdirSync(root);
    cpSync(join(sample('agiqa-3k'), 'data.csv'), join(root, 'data.csv'));
    expect((await failureOf({ name: 'agiqa-3k', root })).message).toMatch(/none of the 12 labeled images/);
  });

  it('names the columns there are, and the line of a bad score', async () => {
    const root = copyOf('agiqa-3k');
    writeFileSync(join(root, 'data.csv'), 'name,score\nDALLE2_normal_001.jpg,1\n');
    expect((await failureOf({ name: 'agiqa-3k', root })).message).toMatch(
      /no column "mos_quality"; found: name, score/,
    );
    writeFileSync(
      join(root, 'data.csv'),
      'name,mos_quality\nDALLE2_normal_001.jpg,1\nglide_normal_002.jpg,high\n',
    );
    expect((await failureOf({ name: 'agiqa-3k', root })).message).toMatch(
      /data\.csv, line 3: mos_quality is "high"/,
    );
  });
});

describe('aigciqa2023', () => {
  it.each([
    ['quality', 27.125],
    ['authenticity', 26.125],
    ['correspondence', 25.125],
  ])('reads %s from its MATLAB file', async (target, first) => {
    const dataset = await openDataset({ name: 'aigciqa2023', root: sample('aigciqa2023'), target });
    expect(dataset.samples.length).toBe(12);
    expect(dataset.samples[0]).toMatchObject({ name: '0.png', mos: first });
    expect(dataset.samples[11]!.mos).toBe(27.125 + 11 * 4.1 - (27.125 - first));
    expect(dataset.samples[11]!.path).toBe(join(sample('aigciqa2023'), 'allimg/11.png'));
    expect(dataset.samples[0]!.generator).toBeUndefined();
    expect(dataset.thresholds).toEqual([30, 40, 50, 60, 70]);
    expect(dataset.split.test).toEqual(trainTestSplit(12, 0.2, 42).test);
  });

  it('reads mos_*.csv where there is no MATLAB file', async () => {
    const root = sample('aigciqa2023-csv');
    const dataset = await openDataset({ name: 'aigciqa2023', root, target: 'authenticity' });
    expect(dataset.samples[2]).toMatchObject({ name: '2.png', mos: 35, path: join(root, 'allimg/2.png') });
  });

  it('says what it expected', async () => {
    const failure = await failureOf({ name: 'aigciqa2023', root: sample('agin'), target: 'authenticity' });
    expect(failure.message).toMatch(
      /neither MOS\/mosz2\.mat nor mos_authenticity\.csv; found MOS\.csv, images\//,
    );
  });
});

describe('agin', () => {
  it.each([
    ['naturalness', 1.6],
    ['technical', 2],
    ['rationality', 4.1],
  ])('reads %s with test and validation parts of seed 42', async (target, third) => {
    const dataset = await openDataset({ name: 'agin', root: sample('agin'), target });
    expect(dataset.samples[2]).toMatchObject({ name: 'MAT_2.png', generator: 'MAT' });
    expect(dataset.samples[2]!.mos).toBeCloseTo(third);
    const outer = trainTestSplit(12, 0.2, 42);
    const inner = trainTestSplit(9, 0.125, 42);
    expect([...dataset.split.test]).toEqual([...outer.test]);
    expect([...dataset.split.val]).toEqual([...inner.test].map((at) => outer.train[at]));
    expect([...dataset.split.train]).toEqual([...inner.train].map((at) => outer.train[at]));
  });

  it('takes other spellings of its columns', async () => {
    const root = copyOf('agin');
    const text = readFileSync(join(root, 'MOS.csv'), 'utf8');
    writeFileSync(join(root, 'MOS.csv'), text.replace('MOS_rat', 'mos_Rationality'));
    expect((await openDataset({ name: 'agin', root, target: 'rationality' })).samples[0]!.mos).toBe(4.5);
    writeFileSync(join(root, 'MOS.csv'), text.replace('MOS_rat', 'x'));
    expect((await failureOf({ name: 'agin', root, target: 'rationality' })).message).toMatch(
      /"MOS_rat" or .*found: filename/,
    );
  });

  it('says what it expected', async () => {
    expect((await failureOf({ name: 'agin', root: sample('agiqa-3k') })).message).toMatch(
      /no MOS\.csv; found .* more$/,
    );
  });
});

describe('aigcqa', () => {
  it('takes the split that its files give', async () => {
    const dataset = await openDataset({ name: 'aigcqa', root: sample('aigcqa') });
    expect(names(dataset, 'train').length).toBe(8);
    expect(names(dataset, 'val')).toEqual(['DALLE2_0008.png', 'DALLE2_0009.png']);
    expect(names(dataset, 'test')).toEqual(['DALLE2_0010.png', 'DALLE2_0011.png']);
    expect(dataset.samples[8]!.path).toBe(join(sample('aigcqa'), 'val/DALLE2_0008.png'));
    expect(dataset.thresholds[0]).toBe(1.231);
  });

  it('says which of its files is missing', async () => {
    const root = copyOf('aigcqa');
    rmSync(join(root, 'val.csv'));
    expect((await failureOf({ name: 'aigcqa', root })).message).toMatch(
      /no val\.csv; found test\.csv, test\/, train\.csv/,
    );
  });
});

describe('csv', () => {
  const csv = join(sample('csv'), 'labels.csv');
  const columns = { imageColumn: 'picture', mosColumn: 'score' };

  it('takes the columns and the split column it is told', async () => {
    const dataset = await openDataset({ name: 'csv', csv, ...columns, splitColumn: 'part' });
    expect(dataset.target).toBe('score');
    expect(dataset.samples[3]).toMatchObject({
      name: 'pictures/p3.png',
      mos: 30,
      path: join(sample('csv'), 'pictures/p3.png'),
    });
    expect([...dataset.split.train]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...dataset.split.val]).toEqual([8, 9]);
    expect([...dataset.split.test]).toEqual([10, 11]);
    expect(dataset.range).toEqual([0, 110]);
  });

  it('reads what spreadsheets write where the comma is the decimal sign', async () => {
    const path = join(scratch, 'labels.csv');
    const lines = ['name;mos', ...[0, 1, 2].map((i) => `p${i}.png;${i},5`)];
    writeFileSync(path, Buffer.from(`\ufeff${lines.join('\r\n')}\r\n`, 'utf16le'));
    const dataset = await openDataset({ name: 'csv', csv: path, root: sample('csv') });
    expect(dataset.samples.map(({ name, mos }) => [name, mos])).toEqual([
      ['p0.png', 0.5],
      ['p1.png', 1.5],
      ['p2.png', 2.5],
    ]);
  });

  it('splits by size and seed otherwise', async () => {
    const dataset = await openDataset({ name: 'csv', csv, ...columns, testSize: 0.25, splitSeed: 7 });
    expect(dataset.split.test).toEqual(trainTestSplit(12, 0.25, 7).test);
  });

  it('has classes of equal size in the training part', async () => {
    const { samples, split, thresholds } = await openDataset({ name: 'csv', csv, ...columns, testSize: 6 });
    const labels = Array.from(split.train, (at) => classOf(samples[at]!.mos, thresholds)).sort();
    expect(labels).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('takes the folder of the images from root', async () => {
    writeFileSync(join(scratch, 'labels.csv'), 'name,mos\np0.png,1\np1.png,2\np2.png,3\n');
    const options = { name: 'csv', csv: join(scratch, 'labels.csv') };
    expect((await openDataset({ ...options, root: sample('csv') })).samples.length).toBe(3);
    expect((await failureOf(options)).message).toMatch(/none of the 3 labeled images \(p0\.png/);
  });

  it.each([
    [{ name: 'csv' }, /needs a CSV file/],
    [{ name: 'csv', csv: '/nowhere/labels.csv' }, /cannot be read \(ENOENT\)/],
    [{ name: 'csv', csv }, /no column "name" or .*found: picture, score, part, prompt/],
    [{ name: 'csv', csv, ...columns, mosColumn: 'mos' }, /no column "mos"/],
    [{ name: 'csv', csv, ...columns, splitColumn: 'fold' }, /no column "fold"/],
    [{ name: 'csv', csv, ...columns, splitColumn: 'score' }, /line 2: score is "0"/],
    [{ name: 'csv', csv, ...columns, testSize: 12 }, /leaves none to train on/],
  ])('refuses %j', async (options, message) => {
    expect((await failureOf(options)).message).toMatch(message);
  });

  it('refuses an image with two scores, also by another path', async () => {
    const path = join(scratch, 'labels.csv');
    const options = { name: 'csv', csv: path, root: sample('csv'), testSize: 1 };
    writeFileSync(path, 'name,mos\npictures/p0.png,1\npictures/p1.png,2\npictures/p0.png,3\n');
    const failure = await failureOf(options);
    expect(failure.message).toMatch(/image pictures\/p0\.png has more than one score: 1 and 3$/);
    expect(failure.advice).toMatch(/one row for each image/);
    writeFileSync(path, 'name,mos\npictures/p0.png,1\np1.png,2\n./pictures/p1.png,2\n');
    expect((await failureOf(options)).message).toMatch(/p1\.png has more than one score: 2 and 2/);
  });

  it('notes a column that could split the images but is not asked to', async () => {
    const { notes } = await openDataset({ name: 'csv', csv, ...columns });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/column "part" says which .* \(use the column with --split-column part\)$/);
    expect((await openDataset({ name: 'csv', csv, ...columns, splitColumn: 'part' })).notes).toEqual([]);
    // A column in which one row says anything else is none.
    writeFileSync(
      join(scratch, 'labels.csv'),
      'name,mos,style\np0.png,1,test\np1.png,2,train\np2.png,3,photo\n',
    );
    const other = { name: 'csv', csv: join(scratch, 'labels.csv'), root: sample('csv') };
    expect((await openDataset(other)).notes).toEqual([]);
  });

  it('refuses a split column without a test part', async () => {
    writeFileSync(join(scratch, 'labels.csv'), 'name,mos,split\np0.png,1,train\n');
    const failure = await failureOf({ name: 'csv', csv: join(scratch, 'labels.csv'), splitColumn: 'split' });
    expect(failure.message).toMatch(/1 train and 0 test rows/);
  });
});

describe('openDataset', () => {
  it('names the datasets and the scores there are', async () => {
    expect((await failureOf({ name: 'imagenet' })).advice).toMatch(
      /agiqa-3k, aigciqa2023, agin, aigcqa, koniq-10k, spaq, kadid-10k, tid2013, live, csv/,
    );
    const failure = await failureOf({ name: 'AGIN', root: sample('agin'), target: 'quality' });
    expect(failure.message).toBe('agin has no score "quality"');
    expect(failure.advice).toMatch(/naturalness, technical, rationality/);
  });

  it('knows datasets by the names that people use', async () => {
    for (const name of ['AGIQA', 'AGIQA-3K', 'agiqa_3k'])
      expect((await openDataset({ name, root: sample('agiqa-3k') })).name).toBe('agiqa-3k');
    expect((await openDataset({ name: 'AIGCIQA2023', root: sample('aigciqa2023') })).name).toBe(
      'aigciqa2023',
    );
    for (const name of ['AIGIQA-20K', 'AIGCQA', 'AIGCQA-30K'])
      expect((await openDataset({ name, root: sample('aigcqa') })).name).toBe('aigcqa');
    // The settings hold the dataset's own name, so that runs of both are one.
    expect(applySettings(defaultSettings(), { data: 'AGIQA' }, 'test').data).toBe('agiqa-3k');
    expect(settingsFrom({ data: 'AIGIQA-20K' }).data).toBe('aigcqa');
    expect(settingsFrom({ data: 'mine' }).data).toBe('mine');
  });

  it('limits to the same images whatever the seed', async () => {
    const limited = (seed: number) =>
      openDataset({ name: 'aigcqa', root: sample('aigcqa'), limit: 6, seed }).then(({ split }) => split);
    expect(await limited(2)).toEqual(await limited(1));
  });

  it('limits the images and the shots', async () => {
    const limited = await openDataset({ name: 'aigcqa', root: sample('aigcqa'), limit: 6 });
    expect(Object.values(limited.split).map((part) => part.length)).toEqual([4, 1, 1]);
    const few = await openDataset({ name: 'aigcqa', root: sample('aigcqa'), shots: 1 });
    const classes = Array.from(few.split.train, (at) => classOf(few.samples[at]!.mos, few.thresholds));
    expect(new Set(classes).size).toBe(classes.length);
    expect(few.split.test.length).toBe(2);
  });
});

describe('writeSplitCsv', () => {
  it('writes the split so that the csv dataset reads it back', async () => {
    const dataset = await openDataset({ name: 'agin', root: sample('agin') });
    const path = join(scratch, 'split.csv');
    await writeSplitCsv(path, dataset);
    expect(readFileSync(path, 'utf8').split('\n')[0]).toBe('name,mos,split');
    const again = await openDataset({ name: 'csv', csv: path, root: sample('agin'), splitColumn: 'split' });
    for (const part of ['train', 'val', 'test'] as const)
      expect(names(again, part)).toEqual(names(dataset, part));
    expect(again.range).toEqual(dataset.range);
  });
});
