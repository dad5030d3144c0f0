import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../src/common/errors.ts';
import { type Dataset, type DatasetOptions, openDataset } from '../src/data/datasets/index.ts';
import { datasetNames } from '../src/data/datasets/names.ts';
import { trainTestSplit } from '../src/data/datasets/splits.ts';
import { decodeImage } from '../src/data/images/decode.ts';

/** The usual sets of image quality assessment, each in its published layout in small (test/fixtures/datasets/make.mjs). */
const sample = (name: string) => fileURLToPath(new URL(`./fixtures/datasets/${name}`, import.meta.url));

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'iqa-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));
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

const at = ({ samples }: Dataset, name: string) => samples.find((found) => found.name === name);
const counts = ({ split }: Dataset) => [split.train.length, split.val.length, split.test.length];

/** The reference images of a part, by the beginning of the names. */
const referencesOf = ({ samples, split }: Dataset, part: 'train' | 'test') => [
  ...new Set(Array.from(split[part], (sample) => samples[sample]!.name.slice(0, 3).toUpperCase())),
];

it.each([
  ['KonIQ-10k', 'koniq-10k', 'koniq-10k', 12],
  ['koniq', 'koniq-10k', 'koniq-10k', 12],
  ['SPAQ', 'spaq', 'spaq', 12],
  ['KADID-10k', 'kadid-10k', 'kadid-10k', 20],
  ['TID2013', 'tid2013', 'tid2013', 20],
  ['LIVE', 'live', 'live', 20],
])('%s is known, all of its images are found and can be decoded', async (given, name, folder, images) => {
  const dataset = await openDataset({ name: given, root: sample(folder) });
  expect([dataset.name, dataset.target, dataset.missing]).toEqual([name, 'quality', []]);
  expect(dataset.samples).toHaveLength(images);
  for (const { path } of dataset.samples)
    expect((await decodeImage(readFileSync(path), path)).width).toBe(32);
  const { thresholds } = dataset;
  expect(thresholds).toHaveLength(5);
  expect([...thresholds].sort((a, b) => a - b)).toEqual(thresholds);
});

it('docs/data.md lists every dataset', () => {
  const page = readFileSync(new URL('../docs/data.md', import.meta.url), 'utf8');
  for (const name of datasetNames) expect(page).toContain(`| \`${name}\``);
});

it('group by distortion where images are distorted, by the name alone where a CSV does not say more', async () => {
  const grouping = async (name: string, csv?: string) =>
    (await openDataset({ name, root: sample(name), csv })).grouping;
  for (const name of ['kadid-10k', 'tid2013', 'live']) expect(await grouping(name)).toBe('distortion');
  expect(await grouping('koniq-10k')).toBeUndefined();
  expect(await grouping('agin')).toBeUndefined();
});

describe('koniq-10k', () => {
  it('has the published split and scores', async () => {
    const dataset = await openDataset({ name: 'koniq-10k', root: sample('koniq-10k') });
    expect(at(dataset, '1111.jpg')).toMatchObject({
      mos: 35.5,
      path: join(sample('koniq-10k'), '1024x768/1111.jpg'),
    });
    expect(at(dataset, '1111.jpg')).not.toHaveProperty('generator', expect.any(String));
    expect(counts(dataset)).toEqual([8, 1, 3]);
    expect(Array.from(dataset.split.test)).toEqual([3, 7, 11]);
    expect(dataset.notes).toEqual([]);
  });

  it('reads the table that comes with the images, in the same unit, and says what it lacks', async () => {
    const dataset = await openDataset({ name: 'koniq-10k', root: sample('koniq-10k-scores') });
    expect(at(dataset, '1111.jpg')).toMatchObject({
      mos: 35.5,
      path: join(sample('koniq-10k-scores'), '512x384/1111.jpg'),
    });
    expect(dataset.split.test).toEqual(trainTestSplit(6, 0.2, 42).test);
    expect(dataset.notes).toEqual([
      expect.stringMatching(/published split is in .*sets\.csv, which is not there/),
    ]);
  });

  it('says what it expected', async () => {
    expect((await failureOf({ name: 'koniq-10k', root: sample('spaq') })).message).toMatch(
      /neither koniq10k_distributions_sets\.csv nor .*; found Annotations\/, TestImage\/$/,
    );
  });
});

describe('spaq', () => {
  it.each([
    ['quality', 18.75],
    ['brightness', 51],
    ['colorfulness', 41],
    ['contrast', 30.5],
    ['noisiness', 59],
    ['sharpness', 20],
  ])('reads %s from its workbook', async (target, second) => {
    const dataset = await openDataset({ name: 'spaq', root: sample('spaq'), target });
    expect(at(dataset, '00002.jpg')).toMatchObject({
      mos: second,
      path: join(sample('spaq'), 'TestImage/00002.jpg'),
    });
    expect(dataset.split.test).toEqual(trainTestSplit(12, 0.2, 42).test);
  });

  it('reads the same saved as CSV, and says what it expected', async () => {
    const root = copyOf('spaq');
    rmSync(join(root, 'Annotations'), { recursive: true });
    expect((await failureOf({ name: 'spaq', root })).message).toMatch(/no Annotations\/MOS and .*\.xlsx/);
    const csv = 'Image name;MOS\n00001.jpg;12,5\n00002.jpg;18,75\n';
    writeFileSync(join(root, 'MOS and Image attribute scores.csv'), csv);
    const dataset = await openDataset({ name: 'spaq', root });
    expect(dataset.samples.map(({ mos }) => mos)).toEqual([12.5, 18.75]);
  });
});

describe('kadid-10k', () => {
  it('reads a column called dmos as what it is, and splits by reference image', async () => {
    const dataset = await openDataset({ name: 'kadid-10k', root: sample('kadid-10k') });
    // The lighter distortion has the higher score.
    expect(at(dataset, 'I03_10_01.png')).toMatchObject({ mos: 4.3, generator: 'distortion 10' });
    expect(at(dataset, 'I03_10_02.png')).toMatchObject({ mos: 3.3 });
    expect(counts(dataset)).toEqual([16, 0, 4]);
    const drawn = Array.from(trainTestSplit(5, 0.2, 42).test, (i) => `I0${i + 1}`);
    expect(referencesOf(dataset, 'test')).toEqual(drawn);
    expect(referencesOf(dataset, 'train')).not.toContain(drawn[0]);
    expect(dataset.notes).toEqual(['split by reference image: 4 to train on, 1 to test on (seed 42)']);
  });

  it('draws other reference images by another seed, and more of them by size', async () => {
    const options = { name: 'kadid-10k', root: sample('kadid-10k') };
    const tested = new Set<string>();
    for (const splitSeed of [1, 2, 3, 4, 5, 6])
      tested.add(referencesOf(await openDataset({ ...options, splitSeed }), 'test').join());
    expect(tested.size).toBeGreaterThan(1);
    const half = await openDataset({ ...options, testSize: 0.5, splitSeed: 3 });
    expect(referencesOf(half, 'test')).toHaveLength(3);
    expect(half.notes).toEqual(['split by reference image: 2 to train on, 3 to test on (seed 3)']);
    const shared = referencesOf(half, 'test').filter((name) => referencesOf(half, 'train').includes(name));
    expect(shared).toEqual([]);
  });
});

describe('tid2013', () => {
  it('finds images whose names differ in case from the list, and splits by reference image', async () => {
    const dataset = await openDataset({ name: 'tid2013', root: sample('tid2013') });
    expect(at(dataset, 'I02_10_2.bmp')).toMatchObject({
      mos: 4.22,
      generator: 'distortion 10',
      path: join(sample('tid2013'), 'distorted_images/i02_10_2.bmp'),
    });
    expect(counts(dataset)).toEqual([16, 0, 4]);
    expect(referencesOf(dataset, 'test')).toHaveLength(1);
    expect(referencesOf(dataset, 'train')).not.toContain(referencesOf(dataset, 'test')[0]);
    expect(dataset.notes[0]).toMatch(/^split by reference image: 4 to train on/);
  });

  it('names a line that is none of its own', async () => {
    const root = copyOf('tid2013');
    writeFileSync(join(root, 'mos_with_names.txt'), '5.1 I01_01_1.bmp\n\n1e3 I01_01_2.bmp\n');
    expect((await failureOf({ name: 'tid2013', root })).message).toMatch(
      /mos_with_names\.txt, line 3: is not/,
    );
    writeFileSync(join(root, 'mos_with_names.txt'), '\n');
    expect((await failureOf({ name: 'tid2013', root })).message).toMatch(/an empty mos_with_names\.txt/);
  });

  it('refuses two files that differ in case alone where neither is the one named', async () => {
    const root = copyOf('tid2013');
    const place = (name: string) => join(root, 'distorted_images', name);
    // On a file system that does not tell them apart there is one file, and nothing to refuse.
    renameSync(place('i02_10_2.bmp'), place('i02_10_2.BMP'));
    cpSync(place('i02_10_1.bmp'), place('i02_10_2.bmp'));
    const opened = await openDataset({ name: 'tid2013', root }).catch((error) => error);
    if (opened instanceof Error) expect(opened.message).toMatch(/I02_10_2\.bmp exists more than once/);
  });
});

describe('live', () => {
  it('reads DMOS so that higher is better, without the copies of references', async () => {
    const dataset = await openDataset({ name: 'live', root: sample('live') });
    // img3 of the second folder is number 7 of all: DMOS 20 + 7 · 2.5 + 0.5.
    expect(at(dataset, 'jpeg/img3.bmp')).toMatchObject({ mos: 62, generator: 'jpeg' });
    expect(at(dataset, 'jpeg/img5.bmp')).toBeUndefined();
    expect(dataset.notes).toEqual([
      'scores are 100 - DMOS, so that higher is better',
      'split by reference image: 3 to train on, 1 to test on (seed 42)',
    ]);
    expect(counts(dataset)).toEqual([15, 0, 5]);
    // The same image of each folder, since info.txt gives all folders the same order here.
    const tested = Array.from(dataset.split.test, (i) => dataset.samples[i]!.name.split('/')[1]);
    expect(new Set(tested).size).toBe(1);
  });

  it('reads the scores before realignment where there are no others, and says so', async () => {
    const root = copyOf('live');
    rmSync(join(root, 'dmos_realigned.mat'));
    const dataset = await openDataset({ name: 'live', root });
    expect(at(dataset, 'jpeg/img3.bmp')).toMatchObject({ mos: 62.5 });
    expect(dataset.notes[2]).toMatch(/before realignment/);
    rmSync(join(root, 'dmos.mat'));
    expect((await failureOf({ name: 'live', root })).message).toMatch(/neither dmos_realigned\.mat nor/);
  });

  it.each([
    ['', /info\.txt: names 0 images/],
    ['bikes.bmp img1.bmp 0\n', /has 25 scores, but the info\.txt of its folders name 21 images/],
    ['bikes.bmp img1.bmp 0\ncaps.bmp img3.bmp 0\n', /names 2 images, not img1\.bmp to img3\.bmp/],
    [
      'bikes.bmp img1.bmp 0\ncaps.bmp img1.bmp 0\n',
      /wn\/info\.txt, line 2: is not a reference image and another/,
    ],
    ['bikes.bmp img99999.bmp 0\n', /wn\/info\.txt, line 1: is not/],
    ['bikes.bmp\n', /wn\/info\.txt, line 1: is not/],
  ])('refuses an info.txt of %j', async (text, message) => {
    const root = copyOf('live');
    writeFileSync(join(root, 'wn/info.txt'), text);
    expect((await failureOf({ name: 'live', root })).message).toMatch(message);
  });
});
