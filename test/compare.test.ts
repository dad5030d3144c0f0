import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium as driver } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { normals, uniforms } from '../src/common/random.ts';
import { srcc } from '../src/data/metrics/correlation.ts';
import { evaluate } from '../src/data/metrics/evaluation.ts';
import { pairedDifferences } from '../src/data/metrics/paired.ts';
import { comparePage } from '../src/report/compare-page.ts';
import { compareRuns } from '../src/report/compare-runs.ts';
import { defaultSettings, type Settings } from '../src/training/settings.ts';
import { runBuilt } from './built-command.ts';
import { chromium, inBrowser } from './chromium.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('compare');
const at = (...parts: string[]) => join(folder, ...parts);

const n = 200;
const mos = [...uniforms(n, 5, 1)].map((draw) => 1 + 4 * draw);
/** Predictions that miss the scores by so much. */
const predicted = (noise: number, stream: number) =>
  mos.map((value, i) => value + noise * [...normals(n, 9, stream)][i]!);

/** Leaves what a finished run leaves, as far as comparing reads it. */
function writeRun(name: string, predictions: readonly number[], changes: Partial<Settings> = {}, first = 0) {
  mkdirSync(at(name), { recursive: true });
  const used = mos.slice(first);
  const given = predictions.slice(first);
  const summary = {
    folder: at(name),
    settings: { ...defaultSettings(), out: at(name), epochs: 2, ...changes },
    adapter: 'test adapter',
    mos: { target: 'quality', range: [1, 5] },
    images: { train: 10, val: 0, test: used.length },
    unreadable: [],
    missing: [],
    epochs: 2,
    finalEpoch: 2,
    before: null,
    test: evaluate(given, used, { bootstrap: 50 }),
    accuracy: null,
    seconds: 100,
  };
  const record = (epoch: number) => ({
    epoch,
    lr: 0.1,
    loss: 2 / epoch,
    seconds: 1,
    val: null,
    accuracy: undefined,
    test: { ...summary.test.overall, srcc: epoch / 4 },
  });
  writeFileSync(at(name, 'summary.json'), JSON.stringify(summary));
  writeFileSync(at(name, 'metrics.jsonl'), `${[1, 2].map((e) => JSON.stringify(record(e))).join('\n')}\n`);
  const rows = used.map((value, i) => `img${i + first}.png,${value},${given[i]}`);
  writeFileSync(at(name, 'predictions.csv'), `name,mos,prediction\n${rows.join('\n')}\n`);
}

beforeAll(() => {
  writeRun('runs/good/seed1', predicted(0.2, 1), { seed: 1 });
  writeRun('runs/good/seed2', predicted(0.2, 2), { seed: 2 });
  writeRun('runs/bad', predicted(2, 3), { lr: 0.5, trainer: 'linear' });
  writeRun(
    'other <b>',
    predicted(0.2, 4).map((value) => 10 - value),
    { lr: 0.25 },
    150,
  );
  mkdirSync(at('runs', 'begun'));
  writeFileSync(at('runs', 'begun', 'config.yaml'), '');
  mkdirSync(at('small-clip'));
  writeFileSync(at('small-clip', 'config.yaml'), '');
  writeFileSync(at('small-clip', 'summary.json'), '{ "steps": 10, "parameters": 100 }');
  symlinkSync(at('runs'), at('runs', 'loop'));
  writeFileSync(at('notes.txt'), '');
});

describe('paired differences', () => {
  it('are those of the metrics, with an interval that holds them', () => {
    const [a, b] = [predicted(0.5, 1), predicted(1, 2)];
    const { srcc: found } = pairedDifferences(a, b, mos);
    expect(found.difference).toBe(srcc(a, mos) - srcc(b, mos));
    expect(found.interval[0]).toBeGreaterThan(0);
    expect(found.interval[0]).toBeLessThan(found.difference);
    expect(found.interval[1]).toBeGreaterThan(found.difference);
  });

  it('are narrower than unpaired ones where two models err alike, and 0 for the same one', () => {
    const a = predicted(1, 1);
    const b = a.map((value, i) => value + 0.05 * [...normals(n, 9, 7)][i]!);
    const { srcc: paired } = pairedDifferences(b, a, mos);
    const { intervals } = evaluate(a, mos, { bootstrap: 1000 });
    const width = ([low, high]: readonly [number, number]) => high - low;
    expect(width(paired.interval)).toBeLessThan(0.3 * width(intervals!.srcc));
    expect(pairedDifferences(a, a, mos).rmse).toEqual({ difference: 0, interval: [0, 0] });
  });
});

describe('comparing runs', () => {
  it('finds finished runs below the folders, groups seeds, and says what differs', async () => {
    const { groups, differing, baseline, comparisons, notes } = await compareRuns([folder, at('notes.txt')]);
    expect(groups.map(({ name, runs }) => [name, runs.length])).toEqual([
      ['other <b>', 1],
      ['runs/bad', 1],
      ['runs/good', 2],
    ]);
    expect(differing).toEqual(['trainer', 'lr']);
    expect(baseline).toBe('other <b>');
    expect(comparisons.map(({ images }) => images)).toEqual([50, 50]);
    expect(notes).toEqual([
      `${at('runs', 'begun')}: not finished`,
      `${at('small-clip')}: pre-training, which predicts no scores`,
    ]);
    const seeds = [1, 2].map((stream) => srcc(predicted(0.2, stream), mos));
    expect(groups[2]!.figures.srcc.mean).toBeCloseTo((seeds[0]! + seeds[1]!) / 2, 12);
    expect(groups[2]!.figures.srcc.std).toBeCloseTo(Math.abs(seeds[0]! - seeds[1]!) / Math.SQRT2, 12);
  });

  it('compares the mean predictions of seeds with the baseline that is named', async () => {
    const { comparisons } = await compareRuns([at('runs')], { baseline: at('runs', 'bad') });
    const [one, two] = [predicted(0.2, 1), predicted(0.2, 2)];
    const both = one.map((value, i) => (value + two[i]!) / 2);
    expect(comparisons).toHaveLength(1);
    const { name, baseline, differences } = comparisons[0]!;
    expect([name, baseline]).toEqual(['good', 'bad']);
    expect(differences.srcc.difference).toBeCloseTo(srcc(both, mos) - srcc(predicted(2, 3), mos), 12);
    expect(differences.srcc.interval[0]).toBeGreaterThan(0);
    expect(differences.rmse.interval[1]).toBeLessThan(0);
  });

  it('refuses a single run, a baseline that is none, and a folder that is not there', async () => {
    await expect(compareRuns([at('runs', 'bad')])).rejects.toThrow(/there is one finished run/);
    await expect(compareRuns([at('runs')], { baseline: 'best' })).rejects.toThrow(
      /--baseline best is not one/,
    );
    await expect(compareRuns([at('gone')])).rejects.toThrow(/gone: no such file or folder/);
  });

  it('shows tables that sort, both curves, the differences, and nothing from elsewhere', async () => {
    const page = comparePage(await compareRuns([folder]));
    expect(page).toContain('<button type="button">SRCC</button>');
    expect(page.match(/<tbody>/g)).toHaveLength(3 + 1);
    expect(page).toContain('runs/good (2 seeds)');
    expect(page).toContain('other &lt;b&gt;');
    expect(page).not.toContain('<b>');
    expect(page.match(/<svg role="img"/g)).toHaveLength(2);
    expect(page).toContain('runs/good, seed 2, epoch 2: 0.5000');
    expect(page).toContain('Differences from the baseline');
    expect(page).not.toMatch(/(?:src|href)="(?!data:)|@import|url\((?!#)/);
  });
});

it('the command writes the page, prints a table, and gives JSON on request', () => {
  const run = (...args: string[]) => runBuilt('compare', args);
  const page = at('page.html');
  const { status, stderr } = run(at('runs'), '--out', page);
  expect(status).toBe(0);
  expect(readFileSync(page, 'utf8')).toContain('3 runs compared');
  expect(stderr).toMatch(/^good +2 +clip-agiqa +0.002 +0\.9\d+ ± /m);
  expect(stderr).toContain(`written to ${page}`);
  const json = run(at('runs'), '--json', '--out', at('unwritten.html'));
  const { groups, comparisons } = JSON.parse(json.stdout);
  expect(groups[1].runs[1].settings.seed).toBe(2);
  expect(comparisons[0].differences.srcc.interval).toHaveLength(2);
  expect(existsSync(at('unwritten.html'))).toBe(false);
  const refused = run(at('runs', 'bad'));
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/^error: there is one finished run/),
  ]);
});

inBrowser('the page sorts by touch and by keyboard on a phone, and prints on two pages', async () => {
  const compared = compareRuns([at('runs', 'good', 'seed1'), at('runs', 'good', 'seed2'), at('runs', 'bad')]);
  writeFileSync(at('page.html'), comparePage(await compared));
  const browser = await driver.launch({ executablePath: chromium!, args: ['--no-sandbox'] });
  try {
    const viewport = { width: 390, height: 800 };
    const tab = await (await browser.newContext({ hasTouch: true, isMobile: true, viewport })).newPage();
    await tab.goto(pathToFileURL(at('page.html')).href);
    const names = () => tab.locator('.sortable tbody tr:first-child th').allTextContents();
    const before = await names();
    const button = tab.locator('.sortable thead button').nth(1);
    // WCAG 2.2, 2.5.8: at least 24 x 24.
    expect((await button.boundingBox())!.height).toBeGreaterThanOrEqual(24);
    await button.tap();
    const first = await names();
    await button.tap();
    expect(await names()).toEqual([...first].reverse());
    expect([...first].sort()).toEqual([...before].sort());
    await tab.keyboard.press('Enter');
    expect(await names()).toEqual(first);
    const pdf = (await tab.pdf({ format: 'A4' })).toString('latin1');
    expect(pdf.match(/\/Type\s*\/Page\b/g)!.length).toBeLessThanOrEqual(2);
  } finally {
    await browser.close();
  }
});
