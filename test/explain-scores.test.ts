import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium as driver } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { checkExplainFlags } from '../src/cli/explain-options.ts';
import { explainRun } from '../src/cli/explain-run.ts';
import { relevanceOf } from '../src/cli/report.ts';
import { maxError } from '../src/common/compare.ts';
import { silent } from '../src/common/reporter.ts';
import { readCsv } from '../src/data/formats/csv.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { distort, severityOf } from '../src/data/images/distort.ts';
import { preprocess } from '../src/data/images/preprocess.ts';
import { agreementOf, meanAgreement } from '../src/explain/agreement.ts';
import { counterfactuals } from '../src/explain/curves.ts';
import { explainImage } from '../src/explain/explain-image.ts';
import { spreadByScore } from '../src/explain/explain-images.ts';
import { covers, regionSums, regionsOf, withHidden } from '../src/explain/regions.ts';
import { shapleyValues } from '../src/explain/shapley.ts';
import { placeOf, relevanceText } from '../src/explain/words.ts';
import { sumOf } from '../src/reference/rows.ts';
import { Scorer } from '../src/scoring/scorer.ts';
import { chromium, inBrowser } from './chromium.ts';
import { sharedGpu } from './gpu.ts';
import { randoms } from './reference/values.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { tinyTensors } from './tiny-clip.ts';

const folder = temporaryFolder('explain');

describe('Shapley values', () => {
  const members = 6;
  const alone = randoms(members, 1);
  const together = randoms(members * members, 2);
  const triple = 3;
  /** Members by themselves and in pairs, and three of them at once. */
  const worthOf = (joined: ArrayLike<number>, threes: number) => {
    let worth = 7;
    for (let i = 0; i < members; i++) {
      if (!joined[i]) continue;
      worth += alone[i]!;
      for (let j = 0; j < i; j++) if (joined[j]) worth += together[i * members + j]!;
    }
    return worth + (joined[0] && joined[2] && joined[3] ? threes : 0);
  };
  const estimate = (threes: number, permutations: number, seed: number) =>
    shapleyValues(async (all) => all.map((one) => worthOf(one, threes)), members, { permutations, seed });
  const exact = (threes: number) =>
    Array.from(alone, (own, i) => {
      let value = own + ([0, 2, 3].includes(i) ? threes / 3 : 0);
      for (let j = 0; j < members; j++)
        value += (j < i ? together[i * members + j]! : j > i ? together[j * members + i]! : 0) / 2;
      return value;
    });

  it('are exact from one pair of permutations where only pairs interact', async () => {
    for (const seed of [0, 1, 2]) {
      const { values, halves } = await estimate(0, 4, seed);
      expect(maxError(values, exact(0))).toBeLessThan(1e-6);
      expect(maxError(halves[0], halves[1])).toBeLessThan(1e-6);
    }
  });

  it('come near where three interact, and always add up to the worth of all', async () => {
    const few = await estimate(triple, 2, 5);
    expect(sumOf(few.values)).toBeCloseTo(worthOf(new Array(members).fill(1), triple) - 7, 6);
    const error = async (permutations: number) =>
      maxError((await estimate(triple, permutations, 5)).values, exact(triple));
    expect(await error(400)).toBeLessThan(0.05);
    expect(await error(2)).toBeGreaterThan(0.05);
    await expect(estimate(0, 3, 0)).rejects.toThrow('no pairs');
  });
});

describe('regions', () => {
  it('hold every patch once, at most eight a side', () => {
    for (const [patches, side] of [
      [14, 7],
      [16, 8],
      [7, 7],
      [27, 7],
      [3, 3],
      [37, 8],
      [1, 1],
    ] as const) {
      const regions = regionsOf(patches);
      expect(regions.side, `${patches}`).toBe(side);
      expect(new Set(regions.of).size).toBe(regions.count);
      expect(sumOf(regionSums(new Float64Array(patches ** 2).fill(1), regions))).toBe(patches ** 2);
    }
  });

  it('are hidden where they are, and nowhere else', () => {
    const regions = regionsOf(3);
    const pixels = Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => i % 251);
    const other = new Uint8Array(pixels.length).fill(255);
    const hidden = new Uint8Array(9);
    hidden[5] = 1;
    const found = withHidden(pixels, other, hidden, regions);
    for (let i = 0; i < found.length; i++) {
      const [x, y] = [Math.floor(i / 3) % 12, Math.floor(i / 36)];
      const inside = Math.floor(y / 4) * 3 + Math.floor(x / 4) === 5;
      expect(found[i]).toBe(inside ? 255 : pixels[i]);
    }
  });

  it('are covered by the mean color, or by a blur that keeps the colors', async () => {
    const pixels = Uint8Array.from({ length: 36 * 36 * 3 }, (_, i) => (i * 37 + (i % 3) * 60) % 256);
    const mean = [0, 1, 2].map((c) => Math.round(sumOf(pixels.filter((_, i) => i % 3 === c)) / 36 ** 2));
    expect([...covers.mean(pixels).subarray(30, 33)]).toEqual(mean);
    const step = pixels.map((_, i) => (Math.floor(i / 3) % 36 < 18 ? 0 : 240));
    const blurred = covers.blur(step);
    const row = Array.from({ length: 36 }, (_, x) => blurred[(20 * 36 + x) * 3]!);
    expect(row).toEqual([...row].sort((a, b) => a - b));
    expect([row[0], row[35]]).toEqual([0, 240]);
    expect(row[17]! + row[18]!).toBe(240);
    expect(row[15]).toBeGreaterThan(30);
  });
});

it('a model that adds up its regions is explained exactly, and its checks agree', async () => {
  const weights = randoms(9, 3);
  const regions = regionsOf(3);
  const brightness = (pixels: Uint8Array) =>
    regionSums(
      Float64Array.from({ length: 9 }, (_, r) =>
        sumOf(
          pixels.filter(
            (_, i) => Math.floor(i / 36 / 4) * 3 + Math.floor((Math.floor(i / 3) % 12) / 4) === r,
          ),
        ),
      ),
      regions,
    );
  const pixels = Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => (Math.floor(i / 3) * 29) % 256);
  const score = (image: Uint8Array) =>
    brightness(image).reduce((sum, value, i) => sum + weights[i]! * value, 0);
  const base = brightness(covers.mean(pixels));
  const own = brightness(pixels).map((value, i) => weights[i]! * (value - base[i]!));
  const model = {
    explain: async () => ({
      score: score(pixels),
      side: 3,
      raises: new Float32Array(9),
      lowers: new Float32Array(9),
      relevance: Float32Array.from(own),
      attention: Float32Array.from(own, (v) => -v),
      rollout: new Float32Array(9),
    }),
    score: async (images: readonly Uint8Array[]) => images.map(score),
  };
  const found = await explainImage(model, pixels, { permutations: 4 });
  expect(maxError(found.occlusion, own)).toBeLessThan(1e-9);
  expect(maxError(found.shapley!.values, own)).toBeLessThan(1e-9);
  expect(found.occlusionAgreement).toBeCloseTo(1);
  const { maps, halves } = found.shapley!.agreement;
  expect([maps.relevance, maps.occlusion, maps.attention, halves].map((v) => Math.round(v))).toEqual([
    1, 1, -1, 1,
  ]);
  expect(maps.rollout).toBeNaN();
  expect((await explainImage(model, pixels)).shapley).toBeUndefined();
});

it('the mean agreement is corrected for the noise of what it is held against', () => {
  const values = [1, 2, 3, 4, 5];
  const mixed = [2, 1, 3, 5, 4];
  const maps = { relevance: values, occlusion: mixed, rollout: [1, 1, 1, 1, 1], attention: values };
  const one = agreementOf(maps, { values, halves: [values.map(Number), mixed] });
  expect(one).toMatchObject({ maps: { relevance: 1, occlusion: 0.8 }, halves: 0.8 });
  const mean = meanAgreement([one, one]);
  expect(mean.reliability).toBeCloseTo(1.6 / 1.8);
  expect(mean.corrected.occlusion).toBeCloseTo(0.8 / Math.sqrt(1.6 / 1.8));
  const noise = agreementOf(maps, { values, halves: [values, values.toReversed()] });
  expect(meanAgreement([noise]).corrected.occlusion).toBeNaN();
});

it('levels of distortions are in the units that they are said to be in', async () => {
  const image = {
    data: Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 91) % 256),
    width: 32,
    height: 32,
  };
  const raw = { raw: { width: 32, height: 32, channels: 3 as const } };
  const jpeg = await distort(image, { name: 'jpeg', severity: severityOf('jpeg', 80), seed: 1 });
  const coded = sharp(await sharp(image.data, raw).jpeg({ quality: 80 }).toBuffer());
  expect([...jpeg.data]).toEqual([...(await coded.raw().toBuffer())]);
  const blurred = await distort(image, { name: 'blur', severity: severityOf('blur', 2), seed: 1 });
  expect([...blurred.data]).toEqual([...(await sharp(image.data, raw).blur(2).raw().toBuffer())]);
  const gray = { ...image, data: new Uint8Array(image.data.length).fill(128) };
  const noisy = await distort(gray, { name: 'noise', severity: severityOf('noise', 12), seed: 1 });
  const std = Math.sqrt(sumOf([...noisy.data].map((v) => (v - 128) ** 2)) / noisy.data.length);
  expect(std).toBeGreaterThan(11.4);
  expect(std).toBeLessThan(12.6);
});

it('many images are thinned out from the worst score to the best', () => {
  const images = [5, 3, 9, 1, 7, 2].map((score) => ({ path: `${score}`, score }));
  const scores = (count: number) => spreadByScore(images, count).map(({ score }) => score);
  expect(scores(3)).toEqual([1, 5, 9]);
  expect(scores(1)).toEqual([1]);
  expect(scores(10)).toEqual([1, 2, 3, 5, 7, 9]);
});

it('maps are said in words', () => {
  expect([0, 4, 5, 8].map((at) => placeOf(at, 3))).toEqual([
    'top left',
    'center',
    'middle right',
    'bottom right',
  ]);
  expect(placeOf(48, 7)).toBe('bottom right');
  expect(relevanceText([0, 0, 0, 0, 2, 0, 0, 0, -1])).toBe(
    'most in favor at the center, most against at the bottom right',
  );
  expect(relevanceText([0, 0, 0, 0])).toBe('no part counts more than another');
});

it('refuses options that make no sense', () => {
  expect(() => checkExplainFlags({ explainCheck: 8 })).toThrow('--explain-check is for explanations');
  expect(() => checkExplainFlags({ explain: 'a', out: 'b' })).toThrow('--out');
  expect(() => checkExplainFlags({ explain: 'a', explainCheck: 3 })).toThrow('even');
  expect(() => checkExplainFlags({ explain: 'a', explainCheck: 2 })).toThrow('at least 4');
  checkExplainFlags({ explain: 'a', explainCheck: 4, explainCover: 'blur' });
});

describe('of files', async () => {
  const weights = join(folder, 'tiny.safetensors');
  await writeSafetensors(weights, tinyTensors());
  const images = await drawImages(join(folder, 'images'), 3);
  const given = { layers: '1,2', pool: 'stats' as const };
  const model = await writeModel(join(folder, 'model.safetensors'), weights, () => {}, given);
  const scorer = await Scorer.load(await sharedGpu(), model);
  const scored: { path: string; score: number }[] = [];
  for await (const result of scorer.score(images)) if ('score' in result) scored.push(result);
  const out = join(folder, 'why');
  const how = {
    folder: out,
    cover: 'mean',
    exif: false,
    about: [['model', 'tiny <one>']],
    reporter: silent,
  } as const;
  const signal = new AbortController().signal;
  await explainRun(scorer.pixels, scored, { ...how, signal, limit: 2, permutations: 4 });
  afterAll(() => scorer.close());
  const page = readFileSync(join(out, 'explain.html'), 'utf8');
  const json = JSON.parse(readFileSync(join(out, 'explain.json'), 'utf8'));

  it('a report has pictures of relevance, of the images that can be read, or says why not', async () => {
    const gone = join(folder, 'gone.png');
    const lines: string[] = [];
    const reporter = { ...silent, line: (line: string) => lines.push(line) };
    const found = await relevanceOf(model, sharedGpu, reporter)([images[0]!, gone, images[1]!]);
    expect([...found.keys()]).toEqual([images[0], images[1]]);
    for (const url of found.values()) {
      const { width, format } = await sharp(Buffer.from(url.split(',')[1]!, 'base64')).metadata();
      expect([width, format]).toEqual([144, 'webp']);
      expect(url.length).toBeLessThan(16_000);
    }
    expect(found.get(images[0]!)).not.toBe(found.get(images[1]!));
    expect(lines).toEqual([]);
    expect(await relevanceOf(gone, sharedGpu, reporter)([images[0]!])).toEqual(new Map());
    expect(lines).toEqual([expect.stringMatching(/^relevance {2}not in the report: .*gone\.png/)]);
  });

  it('the same model scores pixels and files', async () => {
    const pixels = await preprocess(images[0]!, { size: scorer.pixels.imageSize });
    const [score] = await scorer.pixels.score([pixels]);
    expect(score).toBeCloseTo(scored[0]!.score, 5);
    expect((await scorer.pixels.explain(pixels)).score).toBeCloseTo(scored[0]!.score, 5);
    expect(() => scorer.pixels.explain(pixels.subarray(3))).toThrow('12 x 12 pixels');
    await expect(scorer.pixels.score([pixels.subarray(3)])).rejects.toThrow('12 x 12 pixels');
  });

  it('JSON has every map and the curves, and the page the same figures', async () => {
    expect(json.images).toHaveLength(2);
    for (const image of json.images) {
      expect(image.relevance).toHaveLength(9);
      expect(image.occlusion).toHaveLength(9);
      expect(sumOf(image.shapley)).toBeCloseTo(image.score - (await coveredScore(image.path)), 4);
      expect(page).toContain(image.score.toFixed(3));
      expect(page).toContain(image.path);
    }
    expect(page).toContain('tiny &lt;one&gt;');
    expect(page).toContain('2 of 3, evenly spread by score');
    expect(page).toContain(json.agreement.maps.relevance.toFixed(2));
  });

  /** The score of an image of which all is hidden. */
  async function coveredScore(path: string): Promise<number> {
    const pixels = await preprocess(path, { size: 12 });
    return (await scorer.pixels.score([covers.mean(pixels)]))[0]!;
  }

  it('curves are the scores of distorted files', async () => {
    const { rows } = await readCsv(join(out, 'curves.csv'));
    const levels = counterfactuals.flatMap((one) => one.levels);
    expect(rows).toHaveLength(2 * (1 + levels.length));
    const { path, curves } = json.images[1];
    const blur = curves.find(({ name }: { name: string }) => name === 'blur').points[3];
    expect(blur.level).toBe(2);
    const distorted = await sharp(path).removeAlpha().blur(2).png().toBuffer();
    const [expected] = await scorer.pixels.score([await preprocess(distorted, { size: 12 })]);
    expect(blur.score).toBeCloseTo(expected!, 5);
  });

  inBrowser('the page opens alone, in the dark, on a phone, by keyboard', async () => {
    const browser = await driver.launch({ executablePath: chromium!, args: ['--no-sandbox'] });
    try {
      const context = await browser.newContext({
        offline: true,
        colorScheme: 'dark',
        viewport: { width: 390, height: 800 },
      });
      const tab = await context.newPage();
      const wrong: string[] = [];
      tab.on('console', (message) => wrong.push(message.text()));
      tab.on('pageerror', ({ message }) => wrong.push(message));
      tab.on('request', (request) => {
        if (!/^(file|data):/.test(request.url())) wrong.push(request.url());
      });
      await tab.goto(pathToFileURL(join(out, 'explain.html')).href);
      expect(await tab.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
      expect(await tab.locator('.map[role=img]').count()).toBe(6);
      const shown = await tab
        .locator('.map img')
        .evaluateAll((all) => all.map((one) => (one as unknown as { naturalWidth: number }).naturalWidth));
      expect(shown).toEqual([12, 3, 3, 3, 12, 3, 3, 3]);
      await tab.keyboard.press('Tab');
      await tab.keyboard.press('Tab');
      expect(await tab.evaluate('document.activeElement.tagName')).toMatch(/A|DIV/);
      expect(wrong).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
