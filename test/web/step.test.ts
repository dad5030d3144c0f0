import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { collect } from '../../src/common/collect.ts';
import { silent } from '../../src/common/reporter.ts';
import { Resources } from '../../src/common/resources.ts';
import { blobSource } from '../../src/data/formats/byte-source.ts';
import { readSafetensors, safetensorsBytes } from '../../src/data/formats/safetensors.ts';
import { openGpu } from '../../src/kernels/node/open-gpu.ts';
import { mapWeights } from '../../src/model/weights/weights.ts';
import { figuresOf } from '../../src/step/figures.ts';
import { recordInNode } from '../../src/step/record-in-node.ts';
import type { StepData } from '../../src/step/step-data.ts';
import type { Engine, TrainArgs } from '../../src/web/protocol.ts';
import { openTraining, pageSettings, readRated } from '../../src/web/worker/train.ts';
import { FixedVocabulary } from '../../src/web/worker/vocabulary.ts';
import { inBrowser } from '../chromium.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { TestBrowser } from './browser.ts';
import { tinyClip, tinyId, tinyRated, tinySite, tinyVocabulary } from './tiny-site.ts';

const folder = temporaryFolder('page-step');
const args: TrainArgs = {
  trainer: 'clip-agiqa',
  epochs: 1,
  lr: 0.001,
  batchSize: 6,
  nCtx: 2,
  dropout: 0.5,
  seed: 1,
};

/** The same step in Node. */
async function recordedInNode(): Promise<StepData> {
  const gpu = await openGpu();
  const held = new Resources();
  try {
    const file = async (bytes: Uint8Array<ArrayBuffer>) =>
      readSafetensors(blobSource(new Blob([bytes]), 'tiny'));
    const settings = pageSettings(args);
    const options = {
      weights: mapWeights(await file(tinyClip)),
      weightsId: tinyId,
      vocabulary: new FixedVocabulary(tinyVocabulary),
      rated: await readRated(await file(await collect(safetensorsBytes(tinyRated)))),
      settings,
    };
    const { loop, clip } = await openTraining(gpu, options, held);
    const weights = new Map(clip.text.parameters.weights());
    const subject = { loop, settings, weights, spared: [], command: 'test' };
    return (await recordInNode(subject, silent, { rounds: 3 })).data;
  } finally {
    await held.release();
    gpu.close();
  }
}

describe('one step, recorded in the page', () => {
  let browser: TestBrowser;
  let page: Awaited<ReturnType<TestBrowser['open']>>;
  let data: StepData;
  let inNode: Promise<StepData> | undefined;
  const nodeStep = () => (inNode ??= recordedInNode());

  beforeAll(async () => {
    if (!existsSync('dist/web/step.html')) throw new Error('The pages are not built: npm run web.');
    browser = await TestBrowser.launch(tinySite);
    page = await browser.open('/', { viewport: { width: 1440, height: 900 } });
    await page.locator('html[data-score]').waitFor({ timeout: 120_000 });
    data = await page.evaluate(
      (asked) => (globalThis as unknown as { engine: Engine }).engine.call('step', asked),
      args,
    );
  }, 180_000);
  afterAll(() => browser?.close());

  inBrowser('has the ops of Node, their gradients and dispatches, and its loss', async () => {
    const node = await nodeStep();
    const opsOf = ({ ops }: StepData) =>
      ops.map(({ kind, name, part, of }) => `${kind} ${name} ${part} ${of}`);
    expect(opsOf(data)).toEqual(opsOf(node));
    expect(Math.abs(data.loss - node.loss)).toBeLessThanOrEqual(1e-6 * node.loss);
    // Adapters choose variants of their own, and some of them take two dispatches; where both chose the same, all is the same.
    const dispatchesOf = ({ dispatches, ops }: StepData) =>
      ops.map((_, op) => dispatches.filter((one) => one.op === op).map(({ kernel }) => kernel));
    const [here, there] = [dispatchesOf(data), dispatchesOf(node)];
    const family = (kernels: readonly string[]) => new Set(kernels.map((kernel) => kernel.split('_')[0]));
    for (const [op, kernels] of here.entries()) expect(family(kernels)).toEqual(family(there[op]!));
    const same = here.filter((kernels, op) => kernels.join() === there[op]!.join());
    expect(same.length).toBeGreaterThan(here.length / 2);
    const phases = ({ dispatches }: StepData) => [...new Set(dispatches.map(({ phase }) => phase))];
    expect(phases(data)).toEqual(phases(node));
    const own = ({ dispatches }: StepData) =>
      dispatches.filter(({ op }) => op < 0).map(({ kernel, phase }) => `${phase} ${kernel}`);
    // A browser binds ten buffers, so that the optimizer takes a dispatch more.
    expect(new Set(own(data))).toEqual(new Set(own(node)));
  });

  inBrowser('knows the lines of the model that asked, as Node does', async () => {
    const node = await nodeStep();
    const linesOf = ({ ops, stacks, frames }: StepData) =>
      ops.map(({ stack }) =>
        stacks[stack]!.map((at) => frames[at]!)
          .filter(({ file }) => file.startsWith('src/model/'))
          .map(({ fn, file, line }) => `${fn.split('.').at(-1)} ${file}:${line}`),
      );
    expect(linesOf(data)).toEqual(linesOf(node));
    for (const [file, text] of Object.entries(data.files)) expect(text).toBe(readFileSync(file, 'utf8'));
  });

  inBrowser('is shown by the step page, whose figures are those of the recording', async () => {
    await page.goto(`${browser.origin}/#step?batchSize=6&nCtx=2`);
    await page.getByRole('button', { name: 'Record a step' }).click();
    await page.getByRole('link', { name: 'Open the step' }).click({ timeout: 120_000 });
    await page.locator('html[data-ready]').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'JSON' }).click();
    const path = join(folder, 'step.json');
    await (await download).saveAs(path);
    const shown = JSON.parse(readFileSync(path, 'utf8')) as StepData;
    expect(await page.locator('h1').textContent()).toContain(`${shown.dispatches.length} dispatches`);
    const { total } = figuresOf(shown);
    expect(total).toBe(shown.dispatches.reduce((sum, { ns }) => sum + ns, 0));
    const file = page.waitForEvent('download');
    await page.getByRole('button', { name: 'This page as one file' }).click();
    const alone = join(folder, 'step.html');
    await (await file).saveAs(alone);
    const html = readFileSync(alone, 'utf8');
    expect(html).toContain("default-src 'none'");
    expect(html.length).toBeLessThan(1e6);
  });

  inBrowser('reaches no other host and says nothing on the console', () => {
    expect(browser.trouble).toEqual([]);
  });
});
