import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Dataset, openDataset, type Sample } from '../src/data/datasets/index.ts';
import { cellFigures } from '../src/data/metrics/cell-bootstrap.ts';
import { makeFolds } from '../src/evaluation/folds.ts';
import { chooseProtocols, generatorOf, type Protocol } from '../src/evaluation/protocols.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('folds');

/** 20 prompts, each by three generators of which one has two settings; the last image's prompt and generator are not known. */
function datasetOf(changes: (sample: Sample, at: number) => Partial<Sample> = () => ({})): Dataset {
  const makers = ['a_low', 'a_high', 'b_normal', 'c_normal'];
  const samples = Array.from({ length: 80 }, (_, at): Sample => {
    const maker = makers[at % 4]!;
    const sample = {
      name: `x/${maker}_${at}.png`,
      path: '',
      mos: (at * 7) % 31,
      content: `prompt ${Math.floor(at / 4)}`,
      generator: maker.split('_')[0],
    };
    return { ...sample, ...changes(sample, at) };
  });
  samples.push({ name: 'unknown.png', path: '', mos: 3 });
  const all = Int32Array.from(samples.keys());
  return {
    name: 'csv',
    target: 'mos',
    samples,
    split: {
      train: all.filter((at) => at % 5 > 0),
      val: new Int32Array(),
      test: all.filter((at) => at % 5 === 0),
    },
    thresholds: [10, 20],
    range: [0, 30],
    missing: [],
    notes: [],
  };
}

const options = {
  protocols: ['published', 'prompt', 'generator', 'within', 'few'] as Protocol[],
  folds: 5,
  shots: [1, 4],
  generators: 'whole',
  splitSeed: 42,
  seed: 1,
  valSize: 0.2,
} as const;

describe('folds', () => {
  const dataset = datasetOf();
  const { samples } = dataset;
  const folds = makeFolds(dataset, options);
  const of = (protocol: string) => folds.filter((fold) => fold.protocol === protocol);
  const values = (part: Int32Array, key: (sample: Sample) => string | undefined) =>
    new Set(Array.from(part, (at) => key(samples[at]!)));
  const content = (sample: Sample) => sample.content;

  it('have training, validation and test parts of which no two share an image', () => {
    expect(folds.map(({ id }) => id)).toEqual([
      'published',
      ...['1', '2', '3', '4', '5'].map((i) => `prompt-${i}of5`),
      ...['1', '2', '3'].map((i) => `generator-${i}of3`),
      'few-1-draw1',
      'few-4-draw1',
    ]);
    for (const { split } of folds) {
      const all = [...split.train, ...split.val, ...split.test];
      expect(new Set(all).size).toBe(all.length);
      expect(split.val.length).toBeGreaterThan(0);
      expect(split.test.length).toBeGreaterThan(0);
    }
  });

  it('of prompts share no prompt between any two parts, and test each image once', () => {
    for (const { split } of of('prompt')) {
      const parts = [split.train, split.val, split.test].map((part) => values(part, content));
      expect([...parts[0]!].filter((one) => parts[2]!.has(one))).toEqual([]);
      expect([...parts[1]!].filter((one) => parts[0]!.has(one) || parts[2]!.has(one))).toEqual([]);
      expect(split.test.length).toBe(16);
    }
    const tested = of('prompt').flatMap(({ split }) => [...split.test]);
    expect(tested.sort((a, b) => a - b)).toEqual([...samples.keys()].slice(0, 80));
  });

  it('of generators see nothing of the one left out, nor an image of an unknown one', () => {
    expect(of('generator').map(({ label }) => label)).toEqual(['a', 'b', 'c']);
    for (const { label, split } of of('generator')) {
      expect([...values(split.test, (s) => s.generator)]).toEqual([label]);
      const seen = values(Int32Array.from([...split.train, ...split.val]), (s) => s.generator);
      expect([...seen].sort()).toEqual(['a', 'b', 'c'].filter((name) => name !== label));
    }
  });

  it('take settings of a generator for generators of their own on request', () => {
    const found = makeFolds(dataset, { ...options, protocols: ['generator'], generators: 'settings' });
    expect(found.map(({ label }) => label)).toEqual(['a_high', 'a_low', 'b_normal', 'c_normal']);
    for (const { label, split } of found)
      for (const at of [...split.train, ...split.val])
        expect(generatorOf(samples[at]!, 'settings')).not.toBe(label);
  });

  it('hold out the validation part by prompts, whatever the test part is', () => {
    for (const { split } of folds) {
      const trained = values(split.train, content);
      expect([...values(split.val, content)].filter((one) => trained.has(one))).toEqual([]);
    }
    // Scores of the test part decide nothing.
    const other = datasetOf((_, at) => (of('prompt')[0]!.split.test.includes(at) ? { mos: 0 } : {}));
    expect(makeFolds(other, options).find(({ id }) => id === 'prompt-1of5')!.split).toEqual(
      of('prompt')[0]!.split,
    );
  });

  it('are the same for every seed but those of few shots', () => {
    const again = makeFolds(dataset, { ...options, seed: 2 });
    const fixed = (list: typeof folds) =>
      list.filter(({ protocol }) => protocol !== 'few').map(({ split }) => split);
    expect(fixed(again)).toEqual(fixed(folds));
    expect(again.at(-1)!.split.train).not.toEqual(folds.at(-1)!.split.train);
    const other = makeFolds(dataset, { ...options, splitSeed: 7 });
    expect(other[1]!.split.test).not.toEqual(folds[1]!.split.test);
  });

  it('train on no near duplicate of a test image, except as published', () => {
    // Images 0 (prompt 0, a), 6 (prompt 1, b) and 11 (prompt 2, c) are one image.
    const nearDuplicates = Int32Array.from(samples.keys(), (at) => ([0, 6, 11].includes(at) ? 0 : at));
    const apart = makeFolds(dataset, { ...options, nearDuplicates });
    for (const { protocol, split } of apart) {
      if (protocol === 'published') continue;
      const tested = new Set(Array.from(split.test, (at) => nearDuplicates[at]!));
      for (const at of [...split.train, ...split.val]) expect(tested.has(nearDuplicates[at]!)).toBe(false);
    }
    expect(apart.filter(({ protocol }) => protocol === 'generator').map(({ dropped }) => dropped)).toEqual([
      2, 2, 2,
    ]);
    expect(apart[0]!.split).toEqual(folds[0]!.split);
  });

  it('of another dataset train on all of this one', () => {
    const found = makeFolds(dataset, { ...options, protocols: ['cross'], cross: [81, 82], valSize: 0 });
    expect(found[0]!.split.train.length).toBe(81);
    expect([...found[0]!.split.test]).toEqual([81, 82]);
  });
});

describe('protocols', () => {
  const how = { folds: 5, generators: 'whole', cross: false } as const;

  it('of all are those that the dataset allows, with a reason for each other', () => {
    const { chosen, refused } = chooseProtocols('all', datasetOf(), how);
    expect(chosen).toEqual(['published', 'prompt', 'generator', 'within', 'few']);
    expect(refused.map(({ protocol }) => protocol)).toEqual(['cross']);
    const bare = datasetOf(() => ({ content: undefined, generator: undefined }));
    const found = chooseProtocols('all', bare, how);
    expect(found.chosen).toEqual(['published', 'few']);
    expect(found.refused.map(({ protocol, reason }) => `${protocol}: ${reason}`)).toEqual([
      'prompt: the dataset has no prompts or reference images',
      expect.stringMatching(/^generator: the dataset does not say the generator of its images \(none/),
      expect.stringMatching(/^within: /),
      expect.stringMatching(/^cross: .*--cross-data/),
    ]);
  });

  it('that are unknown or cannot be done are refused', () => {
    expect(() => chooseProtocols('prompt,prompts', datasetOf(), how)).toThrow(/unknown protocol "prompts"/);
    expect(() => chooseProtocols('prompt', datasetOf(), { ...how, folds: 21 })).toThrow(
      /20 prompts make no 21 folds/,
    );
    expect(() => chooseProtocols('cross', datasetOf(), how)).toThrow(/cross: no other dataset/);
  });
});

describe('intervals', () => {
  const mean = (values: readonly number[]) => (_cell: number, rows: Int32Array) =>
    rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;
  const width = ([low, high]: readonly [number, number]) => high - low;

  it('draw whole prompts: ten images alike tell no more than one', () => {
    // 40 prompts of ten images with the same value: the mean's standard error is that of 40 values.
    const values = Array.from({ length: 400 }, (_, row) => (Math.floor(row / 10) % 2 === 0 ? 1 : -1));
    const clusters = Array.from({ length: 40 }, (_, i) =>
      Int32Array.from({ length: 10 }, (_unused, j) => 10 * i + j),
    );
    const single = Array.from({ length: 400 }, (_, row) => Int32Array.of(row));
    const of = (units: Int32Array[]) =>
      cellFigures({ mean: mean(values) }, [{ weight: 1, clusters: units }], 'clusters').mean;
    expect(of(clusters).value).toBe(0);
    // 2 · 1.96 · 1/√n
    expect(width(of(clusters).interval)).toBeCloseTo(3.92 / Math.sqrt(40), 1);
    expect(width(of(single).interval)).toBeCloseTo(3.92 / Math.sqrt(400), 1);
    expect(width(of(clusters).interval)).toBeGreaterThan(2.5 * width(of(single).interval));
  });

  it('draw whole generators where the question is of others', () => {
    const values = [0.1, 0.2, 0.6, 0.7];
    const cells = values.map(() => ({ weight: 0.25, clusters: [Int32Array.of(0), Int32Array.of(1)] }));
    const figure = (cell: number) => values[cell]!;
    const { f } = cellFigures({ f: figure }, cells, 'cells', { resamples: 4000 });
    expect(f.value).toBeCloseTo(0.4, 12);
    // All means of four of the four values, each with its probability: the 2.5 and the 97.5 percentile.
    const means = values
      .flatMap((a) => values.flatMap((b) => values.flatMap((c) => values.map((d) => (a + b + c + d) / 4))))
      .sort((x, y) => x - y);
    expect(f.interval[0]).toBeCloseTo(means[Math.floor(0.025 * 256)]!, 1);
    expect(f.interval[1]).toBeCloseTo(means[Math.floor(0.975 * 256)]!, 1);
    // Clusters within the cells would say nothing varies.
    expect(cellFigures({ f: figure }, cells, 'clusters').f.interval).toEqual([f.value, f.value]);
    expect(cellFigures({ f: figure }, cells.slice(0, 1), 'cells').f.interval[0]).toBeNaN();
  });

  it('weigh cells as asked', () => {
    const cells = [0.75, 0.25].map((weight) => ({ weight, clusters: [Int32Array.of(0)] }));
    expect(cellFigures({ f: (cell) => cell }, cells, 'clusters').f.value).toBe(0.25);
  });
});

describe('what images have in common', () => {
  const fixtures = fileURLToPath(new URL('./fixtures/datasets/', import.meta.url));

  it('is the reference image where versions of one are scored', async () => {
    const kadid = await openDataset({ name: 'kadid-10k', root: join(fixtures, 'kadid-10k') });
    for (const { name, content } of kadid.samples) expect(content).toBe(`${name.split('_')[0]}.png`);
    const tid = await openDataset({ name: 'tid2013', root: join(fixtures, 'tid2013') });
    for (const { name, content } of tid.samples) expect(content).toBe(name.split('_')[0]!.toUpperCase());
    const live = await openDataset({ name: 'live', root: join(fixtures, 'live') });
    expect(new Set(live.samples.map(({ content }) => content)).size).toBeGreaterThan(1);
  });

  it('is the prompt, not its case or spaces; a CSV may name the generator', async () => {
    const csv = join(folder, 'labels.csv');
    const rows = ['p0,1,A  cat,x 1', 'p1,2,a cat ,x 1', 'p2,3,A dog,', 'p3,4,,x 2'];
    for (const row of rows) writeFileSync(join(folder, row.slice(0, 2)), '');
    writeFileSync(csv, `name,mos,prompt,generator\n${rows.join('\n')}\n`);
    const { samples, grouping } = await openDataset({ name: 'csv', csv, testSize: 1 });
    expect(grouping).toBeUndefined();
    expect(samples.map(({ content }) => content)).toEqual(['a cat', 'a cat', 'a dog', undefined]);
    expect(samples.map(({ prompt }) => prompt)).toEqual(['A  cat', 'a cat', 'A dog', undefined]);
    expect(samples.map(({ generator }) => generator)).toEqual(['x 1', 'x 1', undefined, 'x 2']);
    writeFileSync(csv, 'name,mos\np0,1\np1,2\n');
    expect((await openDataset({ name: 'csv', csv })).grouping).toBe('name prefix');
  });
});
