import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium as driver, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { compareSteps } from '../src/step/compare-steps.ts';
import { csvOf, traceOf } from '../src/step/export-step.ts';
import { figuresOf, groupsOf, keys } from '../src/step/figures.ts';
import type { DispatchRecord, StepData } from '../src/step/step-data.ts';
import { amountText, timeText } from '../src/step/units.ts';
import { stopCount, walkOf } from '../src/step/walk.ts';
import { runBuilt } from './built-command.ts';
import { chromium, inBrowser } from './chromium.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('step-page');
const root = mkdtempSync(join(folder, 'scenes-'));
await makeScenes(root, { scenes: 10, versions: 2, size: 64, seed: 3 });
const path = (name: string) => join(folder, name);
const args = [
  '--root',
  root,
  '--views',
  '1',
  '--batch-size',
  '4',
  '--cache',
  'none',
  '--rounds',
  '3',
  '--quiet',
];
const made = runBuilt('step', [
  ...[...args, '--page', path('step.html'), '--json', path('step.json'), '--table', 'phase'],
  ...['--trace', path('step.trace.json'), '--dispatches', path('step.csv')],
]);
const data: StepData = JSON.parse(readFileSync(path('step.json'), 'utf8'));
const figures = figuresOf(data);
const count = data.dispatches.length;

describe('step', () => {
  it('writes a page without an address of the network in it, and what it is asked for', () => {
    expect(made.status).toBe(0);
    expect(statSync(path('step.html')).size).toBeLessThan(1e6);
    expect(readFileSync(path('step.csv'), 'utf8')).toBe(csvOf(data));
    expect(readFileSync(path('step.trace.json'), 'utf8')).toBe(traceOf(data));
    const page = readFileSync(path('step.html'), 'utf8').replace(
      /<script type="application[\s\S]*?<\/script>/,
      '',
    );
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\/|src=|url\(/);
  });

  it('prints the figures of the same recording', () => {
    const forward = groupsOf(data, figures, keys.phase).find(({ key }) => key === 'forward')!;
    expect(made.stdout).toContain(`${count}, ${timeText(figures.total)} timed apart`);
    expect(made.stdout).toMatch(new RegExp(`^forward +${forward.calls} +${timeText(forward.ns)} `, 'm'));
  });

  it('refuses what is no recording to compare with', () => {
    const { status, stderr } = runBuilt('step', [...args, '--compare', resolve('package.json')]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: .*package\.json: format is missing\n {2}Write it with step --json/);
  });
});

describe('train --step-page', () => {
  it('leaves the page beside the same results, and takes it away with them', () => {
    const weights = resolve('test/fixtures/tiny-clip.json');
    const options = ['--root', root, '--weights', weights, '--trainer', 'image-only', '--cache', 'none'];
    const train = (out: string, ...more: string[]) =>
      runBuilt('train', [
        ...options,
        '--epochs',
        '1',
        '--batch-size',
        '4',
        '--views',
        '1',
        '--out',
        path(out),
        ...more,
      ]);
    const tensors = (out: string) => {
      const bytes = readFileSync(join(path(out), 'model.safetensors'));
      const end = 8 + Number(bytes.readBigUInt64LE());
      const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
        bytes.subarray(8, end).toString(),
      );
      // Their sums cover the header, which names the folder.
      return Object.entries(header)
        .filter(([name]) => !name.startsWith('__'))
        .map(
          ([
            name,
            {
              data_offsets: [from, to],
            },
          ]) => [name, bytes.subarray(end + from, end + to).toString('hex')],
        );
    };
    const predictions = (out: string) => readFileSync(join(path(out), 'predictions.csv'), 'utf8');
    expect(train('plain').status).toBe(0);
    expect(train('seen', '--step-page').stderr).toMatch(/step page +\S+step\.html/);
    expect(tensors('seen').length).toBe(8);
    expect(tensors('seen')).toEqual(tensors('plain'));
    expect(predictions('seen')).toBe(predictions('plain'));
    const page = join(path('seen'), 'step.html');
    expect(readFileSync(page, 'utf8')).toContain('One training step of image-only');
    expect(train('seen', '--overwrite').status).toBe(0);
    expect(existsSync(page)).toBe(false);
  });
});

describe('the exports', () => {
  it('nest in the trace as Perfetto asks, and add up in the CSV', () => {
    const { traceEvents } = JSON.parse(traceOf(data)) as {
      traceEvents: { ph: string; tid: number; ts: number; dur: number }[];
    };
    for (const tid of [1, 2, 3, 4]) {
      const spans = traceEvents.filter((event) => event.ph === 'X' && event.tid === tid);
      expect(spans.length).toBeGreaterThan(0);
      for (const [i, { ts }] of spans.entries())
        if (i > 0) expect(ts).toBeGreaterThanOrEqual(spans[i - 1]!.ts + spans[i - 1]!.dur - 1e-6);
    }
    const [head, ...rows] = csvOf(data).trimEnd().split('\n');
    const column = head!.split(',').indexOf('ns');
    const sum = rows.reduce((total, row) => total + Number(row.split(',')[column]), 0);
    expect(rows.length).toBe(count);
    expect(sum).toBeCloseTo(figures.total, 3);
  });
});

describe('the walk', () => {
  it('finds every stop in this step, and says three sentences at each', () => {
    const stops = walkOf(data);
    expect(stops.map(({ title }) => title).length).toBe(stopCount);
    expect(stopCount).toBe(10);
    for (const { sentences, title } of stops) {
      expect(sentences.length).toBe(3);
      for (const sentence of sentences) expect(sentence, title).toMatch(/^[A-Z].*\.$/);
      expect(sentences.join(' '), title).not.toMatch(/undefined|NaN|\b0 rows/);
    }
    const at = (title: string) => data.dispatches[stops.find((stop) => stop.title === title)!.dispatch]!;
    expect(at('The head').part).toBe('head.1');
    expect(at('The turn').part).toBe('head.4');
    expect(at('What is learned').phase).toBe('update');
  });
});

describe('a comparison', () => {
  it('is by the names of the model, whatever the kernels are', () => {
    const changed = structuredClone(data);
    const head: { -readonly [K in keyof DispatchRecord]: DispatchRecord[K] } = changed.dispatches.find(
      ({ part, phase }) => part === 'head.1' && phase === 'forward',
    )!;
    head.kernel = 'another';
    head.ns += 1e9;
    const { total, parts } = compareSteps(data, changed);
    expect(parts[0]).toMatchObject({
      key: 'forward head.1 linear',
      b: { kernels: expect.arrayContaining(['another']) },
    });
    expect(total.b!.ns - total.a!.ns).toBeCloseTo(1e9, 0);
    expect(parts.slice(1).every(({ a, b }) => a!.ns === b!.ns)).toBe(true);
  });
});

describe('the page', () => {
  let browser: Browser | undefined;
  const trouble: string[] = [];
  const requests: string[] = [];
  const address = (hash = '') => `${pathToFileURL(path('step.html')).href}${hash}`;
  const open = async (hash = '', width = 1280, scheme: 'light' | 'dark' = 'light'): Promise<Page> => {
    const context = await browser!.newContext({
      offline: true,
      viewport: { width, height: 900 },
      colorScheme: scheme,
      acceptDownloads: true,
    });
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') trouble.push(message.text());
    });
    page.on('pageerror', (error) => trouble.push(error.message));
    page.on('request', (request) => {
      if (!/^(?:blob|data):/.test(request.url())) requests.push(request.url());
    });
    await page.goto(address(hash));
    await page.waitForSelector('html[data-ready]');
    return page;
  };
  beforeAll(async () => {
    if (chromium || process.env.CI)
      browser = await driver.launch({ executablePath: chromium ?? 'chromium', args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  inBrowser('shows every dispatch of the recording, and sums that agree with it', async () => {
    const page = await open();
    expect(await page.locator('#timeline rect.d').count()).toBe(count);
    const tiles = await page.locator('.tile b').allTextContents();
    for (const text of [
      timeText(data.times.wall),
      timeText(figures.total),
      amountText(figures.operations, 'FLOP'),
      amountText(figures.bytes, 'B'),
    ])
      expect(tiles).toContain(text);
    await page.locator('#tables button', { hasText: /^kernel$/ }).click();
    const groups = groupsOf(data, figures, keys.kernel);
    const cells = await page
      .locator('#tables tbody tr')
      .evaluateAll((rows) =>
        rows.map((row) =>
          [...(row as { children: Iterable<{ textContent: string }> }).children].map(
            (cell) => cell.textContent,
          ),
        ),
      );
    expect(cells.map(([key, calls, time]) => [key, calls, time])).toEqual(
      groups.map(({ key, calls, ns }) => [key, String(calls), timeText(ns)]),
    );
    await page.context().close();
  });

  inBrowser('has one selection: dispatch, op, gradient, line, shader, buffers, address', async () => {
    const at = data.dispatches.findIndex(
      ({ part, phase }) => part === 'text.blocks.1.mlp.c_fc' && phase === 'forward',
    );
    const page = await open(`#d=${at}`);
    const text = (selector: string) => page.locator(selector).innerText();
    expect(await text('#selection')).toContain('text.blocks.1.mlp.c_fc');
    expect(await text('#selection pre .hot')).toMatch(/c_fc/);
    expect(await text('#selection section:last-child pre')).toContain('//@work');
    await page.keyboard.press('p');
    const partner = data.ops.findIndex(({ of }) => of === data.dispatches[at]!.op);
    const gradient = data.dispatches.findIndex(({ op }) => op === partner);
    expect(page.url()).toBe(address(`#d=${gradient}`));
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('#timeline rect.sel').getAttribute('data-d')).toBe(String(gradient + 1));
    const { storage } = data.dispatches[gradient + 1]!.uses.find(({ access }) => access === 'write')!;
    await page.locator(`[data-storage="${storage}"]`).last().click();
    expect(await text('#selection')).toContain(`Buffer ${storage}`);
    await page.locator('#timeline rect.d').nth(3).click({ force: true });
    expect(await text('#selection')).toContain(`3 · ${data.dispatches[3]!.kernel}`);
    await page.context().close();
  });

  inBrowser('walks, saves, compares and tells what it cannot read', async () => {
    const page = await open();
    await page.keyboard.press('w');
    const stops = walkOf(data);
    for (const { title, dispatch } of stops) {
      expect(await page.locator('#walk h2').innerText()).toBe(title);
      expect(await page.locator('#timeline rect.sel').getAttribute('data-d')).toBe(String(dispatch));
      await page.locator('#walk button', { hasText: /Next|Done/ }).click();
    }
    expect(await page.locator('#walk').isHidden()).toBe(true);
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#tools button', { hasText: 'CSV' }).click(),
    ]);
    expect(readFileSync((await saved.path())!, 'utf8')).toBe(csvOf(data));
    await page.locator('#other').setInputFiles(path('step.json'));
    await page.locator('#compare table').waitFor();
    expect(await page.locator('#compare tbody tr').first().innerText()).toContain('+0 %');
    await page.locator('#other').setInputFiles(resolve('package.json'));
    await page.locator('#compare p.up').waitFor();
    await page.context().close();
  });

  inBrowser('fits a phone, light and dark, and asks nobody for anything', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const page = await open('#d=20', 390, scheme);
      const wide = await page.evaluate('document.documentElement.scrollWidth');
      expect(wide).toBeLessThanOrEqual(390);
      expect(await page.locator('#timeline rect.d').count()).toBe(count);
      await page.context().close();
    }
    expect(trouble).toEqual([]);
    expect(new Set(requests.map((url) => url.replace(/#.*/, '')))).toEqual(new Set([address()]));
  });
});
