import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { performancePage } from '../../bench/page.ts';
import { readResults } from '../../bench/results.ts';
import { scope } from '../../src/autograd/scope.ts';
import { Tensor } from '../../src/autograd/tensor.ts';
import { collect } from '../../src/common/collect.ts';
import { blobSource } from '../../src/data/formats/byte-source.ts';
import { readSafetensors, safetensorsBytes } from '../../src/data/formats/safetensors.ts';
import { decodeImage } from '../../src/data/images/decode.ts';
import { testTransform } from '../../src/data/images/transforms.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { Clip } from '../../src/model/clip.ts';
import { mapWeights } from '../../src/model/weights/weights.ts';
import { PixelScorer } from '../../src/scoring/pixel-scorer.ts';
import { Scorer } from '../../src/scoring/scorer.ts';
import { readScoringConstants } from '../../src/scoring/scoring-constants.ts';
import { scoringModel } from '../../src/scoring/scoring-model.ts';
import type { Engine, EpochEvent, TrainArgs } from '../../src/web/protocol.ts';
import { pageSettings, readRated, trainInPage } from '../../src/web/worker/train.ts';
import { FixedVocabulary } from '../../src/web/worker/vocabulary.ts';
import { inBrowser } from '../chromium.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { tinyConfig } from '../tiny-clip.ts';
import { TestBrowser } from './browser.ts';
import type { Lab } from './lab-calls.ts';
import { labPage } from './lab-page.ts';
import { tinyClip, tinyId, tinyModel, tinyRated, tinySite, tinyVocabulary } from './tiny-site.ts';

/** What the page offers to its console. */
interface PageGlobals {
  readonly engine: Engine;
  readonly lab: Lab;
}

const folder = temporaryFolder('pages');
const { imageSize } = tinyConfig.vision;
const [wide, tall] = [40, 30];
const file = await sharp(
  Uint8Array.from({ length: wide * tall * 3 }, (_, i) => (i * 41 + (i >> 5)) % 256),
  {
    raw: { width: wide, height: tall, channels: 3 },
  },
)
  .png()
  .toBuffer();
const weights = async () => mapWeights(await readSafetensors(blobSource(new Blob([tinyClip]), 'tiny')));

let opened: ReturnType<typeof openGpu> | undefined;
const gpuOfNode = () => (opened ??= openGpu());
afterAll(async () => (await opened)?.close());

/** The same model in Node. */
async function scorerInNode(): Promise<PixelScorer> {
  const gpu = await gpuOfNode();
  const clip = await Clip.from(gpu, await weights(), { text: false });
  const scoring = scoringModel(gpu, readScoringConstants(tinyModel.constants, tinyModel.settings, 'tiny'));
  const { settings, weightsId: id } = tinyModel;
  return new PixelScorer({ imageSize, id, settings, batch: 1, on: (work) => work({ clip, scoring }, gpu) });
}

const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));
function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(found.length).toBe(expected.length);
  const error = largest(Array.from(expected, (value, i) => value - found[i]!)) / largest(expected);
  expect(error).toBeLessThanOrEqual(tolerance);
}

describe('the pages', () => {
  let browser: TestBrowser;
  let page: Awaited<ReturnType<TestBrowser['open']>>;

  beforeAll(async () => {
    if (!existsSync('dist/web/index.html')) throw new Error('The pages are not built: npm run web.');
    const lab = await labPage();
    browser = await TestBrowser.launch((path) =>
      path === '/clip'
        ? { type: 'application/octet-stream', body: tinyClip }
        : path.startsWith('/lab')
          ? lab(path)
          : tinySite(path),
    );
    page = await browser.open('/', { viewport: { width: 1440, height: 900 } });
    await page.locator('html[data-score]').waitFor({ timeout: 120_000 });
  });
  afterAll(() => browser?.close());

  inBrowser(
    'an example is scored when the page opens, and the image given is scored as in Node',
    async () => {
      expect(await page.locator('.score').textContent()).toMatch(/^-?\d+\.\d\d$/);
      expect(await page.locator('#device').textContent()).toMatch(/your processor computes/);
      await page.setInputFiles('#file', { name: 'mine.png', mimeType: 'image/png', buffer: file });
      await page.locator('.picture[aria-label^="mine.png"]').waitFor();
      const scorer = await scorerInNode();
      const pixels = testTransform(await decodeImage(file, 'mine.png'), imageSize);
      const [expected] = await scorer.score([pixels]);
      const found = Number(await page.evaluate('document.documentElement.dataset.score'));
      expectClose([found], [expected!], 1e-6);

      const map = await page.evaluate(async () => {
        const { relevance, attention } = await (globalThis as unknown as PageGlobals).engine.call(
          'explain',
          {},
        );
        return [[...relevance], [...attention]];
      });
      const { relevance, attention } = await scorer.explain(pixels);
      expectClose(map[0]!, relevance, 1e-5);
      expectClose(map[1]!, attention, 1e-5);
    },
  );

  inBrowser('sliders and the brush move the score, and are undone', async () => {
    const score = () => page.evaluate('document.documentElement.dataset.score');
    const plain = await score();
    await page.locator('input#slider-blur').fill('3');
    await expect.poll(score).not.toBe(plain);
    await page.getByRole('button', { name: 'Undo changes' }).click();
    await expect.poll(score).toBe(plain);
    await page.getByRole('button', { name: 'hide parts' }).click();
    await page.locator('.picture').click({ position: { x: 100, y: 120 } });
    await expect.poll(score).not.toBe(plain);
    expect(await page.locator('.figures .soft.small').textContent()).toMatch(/against the image as it was/);
  });

  inBrowser('an epoch of training has the losses and the model of Node', async () => {
    const args: TrainArgs = {
      trainer: 'clip-agiqa',
      epochs: 2,
      lr: 0.01,
      batchSize: 6,
      nCtx: 2,
      dropout: 0.5,
      seed: 3,
    };
    const found = await page.evaluate(async (asked) => {
      const events: EpochEvent[] = [];
      const { engine } = globalThis as unknown as PageGlobals;
      const { file: bytes } = await engine.call('train', asked, { tell: (event) => events.push(event) });
      return {
        losses: events.map(({ loss }) => loss),
        predictions: [...events.at(-1)!.predictions],
        bytes: [...bytes],
      };
    }, args);
    const gpu = await gpuOfNode();
    const rated = await readRated(
      await readSafetensors(blobSource(new Blob([await collect(safetensorsBytes(tinyRated))]), 'rated')),
    );
    const events: EpochEvent[] = [];
    const { model: trained } = await trainInPage(gpu, {
      weights: await weights(),
      weightsId: tinyId,
      vocabulary: new FixedVocabulary(tinyVocabulary),
      rated,
      settings: pageSettings(args),
      onEpoch: (event) => events.push(event),
    });
    expectClose(
      found.losses,
      events.map(({ loss }) => loss),
      1e-6,
    );
    expectClose(found.predictions, events.at(-1)!.predictions, 1e-5);
    const model = await readSafetensors(blobSource(new Blob([Uint8Array.from(found.bytes)]), 'model'));
    for (const [name, { data }] of trained.parameters)
      expectClose(await model.read(`parameters.${name}`), data, 1e-5);
  });

  inBrowser(
    'the settings of a training are in the address, its curves move, and it leaves a model',
    async () => {
      await page.goto(`${browser.origin}/#train?epochs=2&seed=7&batchSize=6&nCtx=2`);
      await page.reload();
      expect(await page.locator('#seed').inputValue()).toBe('7');
      await page.locator('#lr').fill('0.01');
      await expect.poll(() => page.url()).toContain('lr=0.01');
      expect(await page.locator('.training code').last().textContent()).toMatch(/--lr 0\.01 .*--seed 7$/);
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.getByRole('link', { name: 'Download model.safetensors' }).waitFor({ timeout: 60_000 });
      expect(await page.locator('.chart.loss b').textContent()).toMatch(/^\d+\.\d{3}$/);
      expect(await page.locator('.chart.loss svg').getAttribute('aria-label')).toMatch(/after epoch 2$/);
    },
  );

  inBrowser('a training is stopped by the button that began it, and begun again', async () => {
    await page.goto(`${browser.origin}/#train?epochs=200&batchSize=6&nCtx=2`);
    await page.reload();
    for (let turn = 0; turn < 2; turn++) {
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.getByText(/^Epoch \d+ of 200/).waitFor({ timeout: 60_000 });
      await page.getByRole('button', { name: 'Stop', exact: true }).click();
      await page.getByText('Stopped.', { exact: true }).waitFor({ timeout: 60_000 });
    }
    await page.getByRole('button', { name: 'Train', exact: true }).waitFor();
    expect(await page.getByRole('link', { name: 'Download model.safetensors' }).count()).toBe(0);
  });

  inBrowser('a head that is taught in the page scores in Node as it did there', async () => {
    await page.goto(`${browser.origin}/#teach?epochs=3`);
    const images = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        sharp({
          create: { width: 20, height: 20, channels: 3, background: { r: 30 * i, g: 255 - 20 * i, b: 90 } },
        })
          .png()
          .toBuffer(),
      ),
    );
    const buffers = images.map((buffer, i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer }));
    await page.setInputFiles('#taste', buffers);
    await page.locator('.cards li').nth(7).waitFor();
    for (let i = 0; i < 8; i++) await page.locator(`label[for="rate-${i}-${1 + (i % 5)}"]`).click();
    const download = page.waitForEvent('download', { timeout: 90_000 });
    await page.getByRole('button', { name: 'Teach', exact: true }).click();
    await page.getByRole('link', { name: 'Download model.safetensors' }).click({ timeout: 90_000 });
    const path = join(folder, 'model.safetensors');
    await (await download).saveAs(path);
    const clip = join(folder, 'clip.safetensors');
    writeFileSync(clip, tinyClip);
    const said = await page.locator('.cards .said').allTextContents();
    const scorer = await Scorer.load(await gpuOfNode(), path, { weights: clip });
    for await (const result of scorer.score(images))
      expect(said[result.index]).toContain(
        `your head says ${'score' in result ? result.score.toFixed(1) : result.error};`,
      );
    await scorer.close();
    await page.goto(`${browser.origin}/#score`);
    await page.reload();
    await page.locator('html[data-score]').waitFor();
  });

  inBrowser('the adapter is checked and measured, and bench.js page takes what is copied', async () => {
    await page.goto(`${browser.origin}/#gpu`);
    expect(await page.locator('.machine dl').textContent()).toMatch(
      /swiftshader.*software: the processor computes/,
    );
    await page.getByRole('button', { name: 'Check and measure' }).click();
    await page.getByRole('button', { name: 'Copy as JSON' }).waitFor({ timeout: 120_000 });
    expect(await page.locator('.checks .right').count()).toBeGreaterThan(4);
    expect(await page.locator('.checks .wrong').count()).toBe(0);
    expect(await page.locator('.machine tbody tr').count()).toBeGreaterThan(1);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy as JSON' }).click();
    await page.getByText(/^Copied\./).waitFor();
    const copied = join(folder, 'bench', 'page.json');
    mkdirSync(join(folder, 'bench'));
    writeFileSync(copied, String(await page.evaluate('navigator.clipboard.readText()')));
    const text = performancePage(await readResults(join(folder, 'bench')), []);
    expect(text).toMatch(/### In a browser\n\n"Your GPU" of the pages .*Chrome/);
    expect(text).toMatch(/\| `attention [^`]+` \| `\w+` \| [\d.]+ \|/);
    await page.goto(`${browser.origin}/#score`);
  });

  inBrowser('a lost device is opened again, and the score is the same', async () => {
    const score = () =>
      page.evaluate(async () => {
        const { engine } = globalThis as unknown as PageGlobals;
        const { score: value } = await engine.call('change', { hidden: [], blur: 0, noise: 0, jpeg: 0 });
        return value;
      });
    const before = await score();
    await page.evaluate(() => (globalThis as unknown as PageGlobals).engine.call('lose', {}));
    expect(await score()).toBe(before);
  });

  inBrowser('what is no image is said in words, and the page goes on', async () => {
    await page.setInputFiles('#file', {
      name: 'notes.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('hello'),
    });
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toMatch(/Notes\.txt: not a readable image/);
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  inBrowser('features are those of Node', async () => {
    const lab = await browser.open('/lab');
    const pixels = Array.from({ length: imageSize ** 2 * 3 }, (_, i) => (i * 53) % 256);
    const found = await lab.evaluate(
      (given) => (globalThis as unknown as PageGlobals).lab.features('/clip', given),
      pixels,
    );
    const gpu = await gpuOfNode();
    const clip = await Clip.from(gpu, await weights(), { text: false });
    const words = new Uint32Array(Uint8Array.from(pixels).buffer);
    const features = scope(() =>
      clip.vision.features(clip.vision.patchesFromBytes(Tensor.from(gpu, words, [1, words.length]))),
    );
    expectClose(found, await features.read(), 1e-6);
  });

  inBrowser('they reach no other host and say nothing on the console', () => {
    expect(browser.trouble).toEqual([]);
  });
});

describe('without WebGPU', () => {
  inBrowser('the examples have the scores of Node, and what to do is said', async () => {
    const browser = await TestBrowser.launch(tinySite, ['--disable-features=WebGPU', '--disable-gpu']);
    try {
      const page = await browser.open('/', { viewport: { width: 390, height: 800 } });
      await page.getByRole('alert').waitFor();
      expect(await page.getByRole('alert').textContent()).toMatch(/no WebGPU|No WebGPU adapter/i);
      const [first] = await page.evaluate(
        async (): Promise<{ score: number }[]> =>
          (await (await fetch('data/examples.json')).json()) as { score: number }[],
      );
      await expect.poll(() => page.locator('.score').textContent()).toBe(first!.score.toFixed(2));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    } finally {
      await browser.close();
    }
  });
});
