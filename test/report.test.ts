import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'csv-stringify/sync';
import { chromium as driver } from 'playwright-core';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { extent } from '../src/common/extent.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { plcc } from '../src/data/metrics/correlation.ts';
import { evaluate, metricsOf } from '../src/data/metrics/evaluation.ts';
import { drawChart } from '../src/report/chart.ts';
import { lossChart, srccChart } from '../src/report/epoch-charts.ts';
import { groupChart, scatterChart } from '../src/report/test-charts.ts';
import { writeReport } from '../src/report/write-report.ts';
import { applySettings, datasetOptions, defaultSettings } from '../src/training/settings.ts';
import type { EpochRecord } from '../src/training/training-state.ts';
import { chromium, inBrowser } from './chromium.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('report');

const root = 'test/fixtures/datasets/agiqa-3k';
const settings = applySettings(defaultSettings(), { data: 'agiqa-3k', root, testSize: 0.5, nCtx: 4 }, 'test');

const epochs = (count: number): EpochRecord[] =>
  Array.from({ length: count }, (_, i) => {
    const metrics = { ...metricsOf([1, 2, 3], [1, 2, 3]), srcc: 0.5 + 0.04 * i };
    return { epoch: i + 1, lr: 0.002, loss: 2 / (i + 1), seconds: 1, val: null, test: metrics };
  });

/** The files that a finished run leaves and the report reads; predictions are the MOS, bent and shifted. */
async function writeRun(name: string, changes: Record<string, unknown> = {}) {
  const out = join(folder, name);
  mkdirSync(out);
  const dataset = await openDataset(datasetOptions(settings));
  const images = Array.from(dataset.split.test, (at, i) => {
    const { name, mos, generator } = dataset.samples[at]!;
    return { name, mos, prediction: 0.8 * mos + 0.3 + 0.1 * (-1) ** i, generator: generator! };
  });
  const [predicted, mos] = [images.map((row) => row.prediction), images.map((row) => row.mos)];
  const test = evaluate(predicted, mos, { groups: images.map((row) => row.generator), bootstrap: 50 });
  const records = epochs(5);
  const summary = {
    folder: out,
    settings,
    adapter: 'An <adapter> & its "driver"',
    mos: { target: 'quality', range: dataset.range },
    images: { train: 6, val: 0, test: images.length },
    unreadable: [],
    missing: ['gone_001.png'],
    epochs: records.length,
    finalEpoch: 3,
    before: { ...test.overall, srcc: Number.NaN },
    test,
    accuracy: null,
    seconds: 61,
    finished: '2026-01-02T03:04:05.678Z',
    versions: { 'clip-agiqa-webgpu': '1.2.3' },
    ...changes,
  };
  const rows = images.map(({ name, mos, prediction }) => [name, mos, prediction]);
  writeFileSync(join(out, 'summary.json'), JSON.stringify(summary));
  writeFileSync(join(out, 'metrics.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  writeFileSync(join(out, 'predictions.csv'), stringify([['name', 'mos', 'prediction'], ...rows]));
  return { out, images, test };
}

const read = async (out: string, options = {}) => readFileSync(await writeReport(out, options), 'utf8');

/** Names under the images of a row of the gallery. */
function row(page: string, title: string): string[] {
  const part = page.slice(page.indexOf(`<h3>${title}`)).split('</div>')[0]!;
  return [...part.matchAll(/<small title="([^"]*)"/g)].map(([, name]) => name!);
}

describe('report.html', () => {
  it('shows the run by itself: metrics, charts, images, settings, and nothing from elsewhere', async () => {
    const { out, images, test } = await writeRun('whole');
    const page = await read(out, { images: 3 });
    expect(page).not.toMatch(/<script|<link|@import|url\((?!#)|\bsrc="(?!data:)/);
    // Links lead to the images, relative to the page, and nowhere else.
    const links = [...page.matchAll(/href="([^"]*)"/g)].map(([, link]) => decodeURIComponent(link!));
    expect(links.length).toBe(page.match(/<figcaption><b>/g)!.length + images.length);
    for (const link of links) expect(existsSync(join(out, link)), link).toBe(true);
    expect(page).toContain(`<strong>${test.overall.srcc.toFixed(4)}</strong>`);
    expect(page).toContain('untrained —');
    expect(page).toContain('An &lt;adapter&gt; &amp; its &quot;driver&quot;');
    expect(page).toContain('Listed but missing: gone_001.png.');
    expect(page).toContain('<tr class="changed"><th scope="row">nCtx</th><td>4</td>');
    const titles = ['Loss', 'Rank correlation', 'Learning rate', 'Predicted against MOS', 'Residuals'];
    for (const title of [...titles, 'Error by generator'])
      expect(page).toContain(`<h2>${title}</h2><svg role="img" aria-label="`);
    expect(page).toContain('<dt>prompts</dt><dd>4 vectors, learned; quality word at the end</dd>');
    expect(page).toContain('<dt>epochs</dt><dd>5, the parameters of epoch 3 kept</dd>');
    expect(page).toContain('<dt>finished</dt><dd>2026-01-02 03:04 UTC</dd>');
    expect(page).toContain('<dt>versions</dt><dd>clip-agiqa-webgpu 1.2.3</dd>');
    for (const { name } of images) expect(page).toContain(`<title>${name}\n`);
    const down = [...images].sort((a, b) => b.prediction - a.prediction).map(({ name }) => name);
    expect(row(page, 'Best')).toEqual(down.slice(0, 3));
    expect(row(page, 'Worst')).toEqual(down.reverse().slice(0, 3));
    const excess = [...images].sort((a, b) => b.prediction - b.mos - (a.prediction - a.mos));
    expect(row(page, 'Overrated')[0]).toBe(excess[0]!.name);
    expect(row(page, 'Underrated')[0]).toBe(excess.at(-1)!.name);
    const [, thumbnail] = /src="data:image\/webp;base64,([^"]+)"/.exec(page)!;
    const { format, width, height } = await sharp(Buffer.from(thumbnail!, 'base64')).metadata();
    expect([format, width, height]).toEqual(['webp', 288, 288]);
  });

  it('shows the relevance of the images that have one, asked for each image once', async () => {
    const { out } = await writeRun('relevance');
    const asked: (readonly string[])[] = [];
    const picture = 'data:image/webp;base64,AAAA';
    const relevanceOf = async (paths: readonly string[]) => {
      asked.push(paths);
      return new Map([[paths[0]!, picture]]);
    };
    const page = await read(out, { images: 2, relevanceOf });
    expect(asked).toHaveLength(1);
    expect(new Set(asked[0]).size).toBe(asked[0]!.length);
    expect(asked[0]!.length).toBeLessThanOrEqual(8);
    expect(page.split(picture).length).toBeGreaterThan(1);
    expect(page).toContain('in vermilion what speaks for a lower one');
    expect(await read(out)).not.toContain('vermilion what');
  });

  it('says where images are missing, and finds them where they lie now', async () => {
    const { out } = await writeRun('moved', { settings: { ...settings, root: join(folder, 'nowhere') } });
    const page = await read(out);
    expect(page).toMatch(/The images cannot be shown: .*nowhere: .*--root DIR/);
    expect(page).not.toContain('<img');
    expect(await read(out, { root })).toContain('<img');
  });

  it('leaves out what a run has not: curves where nothing learned, all figures where nothing was tested', async () => {
    const zero = await read((await writeRun('zero', { epochs: 0, finalEpoch: 0 })).out);
    expect(zero).not.toContain('<h2>Loss</h2>');
    expect(zero).toContain('none (zero-shot)');
    const untested = await read((await writeRun('untested', { test: null, before: null })).out);
    expect(untested).toContain('no test set');
    const usual = await read((await writeRun('usual', { finalEpoch: 5 })).out);
    expect(usual).toContain('<dt>epochs</dt><dd>5</dd>');
    expect(untested).toContain('<h2>Loss</h2>');
    expect(untested).not.toContain('<h2>Predicted against MOS</h2>');
  });

  it('keeps to the largest groups where there are many, and calls them what the dataset does', async () => {
    const { test } = await writeRun('few');
    const group = (i: number) => [`g${String(i).padStart(2, '0')}`, { ...test.overall, n: 100 - i }];
    const byGroup = Object.fromEntries(Array.from({ length: 60 }, (_, i) => group(i)));
    const page = await read(
      (await writeRun('many', { test: { ...test, byGroup }, grouping: 'distortion' })).out,
    );
    expect(page).toContain('<h2>Error by distortion</h2><svg role="img" aria-label="RMSE by distortion: ');
    expect(page).toContain('The 24 with most images, of 60.');
    expect(page).not.toContain('generator');
    const rows = [...page.matchAll(/<th scope="row">(g\d\d)<\/th>/g)].map(([, name]) => name);
    expect(rows).toEqual(Array.from({ length: 24 }, (_, i) => group(i)[0]));
  });

  it('refuses what is no finished run', async () => {
    await expect(writeReport(join(folder, 'absent'))).rejects.toThrow(/holds no summary\.json/);
    mkdirSync(join(folder, 'stopped'));
    writeFileSync(join(folder, 'stopped', 'checkpoint.safetensors'), '');
    await expect(writeReport(join(folder, 'stopped'))).rejects.toThrow(/has not finished/);
  });

  it('refuses damaged files of a run in one line that names the file and what of it', async () => {
    const damage = async (name: string, file: string, change: (text: string) => string, said: RegExp) => {
      const { out } = await writeRun(name);
      const path = join(out, file);
      writeFileSync(path, change(readFileSync(path, 'utf8')));
      await expect(writeReport(out)).rejects.toMatchObject({
        name: 'UserError',
        message: expect.stringMatching(said),
      });
      expect(existsSync(join(out, 'report.html'))).toBe(false);
    };
    await damage('cut', 'summary.json', (text) => text.slice(0, 200), /summary\.json: is not JSON/);
    await damage('null', 'summary.json', () => 'null', /summary\.json: /);
    await damage(
      'no-test',
      'summary.json',
      (text) => text.replace('"overall"', '"all"'),
      /test\.overall is missing/,
    );
    await damage(
      'setting',
      'summary.json',
      (text) => text.replace('"nCtx"', '"constructor"'),
      /no setting named constructor/,
    );
    await damage(
      'line',
      'metrics.jsonl',
      (text) => `${text}{"epoch":"six"}\n`,
      /metrics\.jsonl, line 6: epoch is "six"/,
    );
    await damage('columns', 'predictions.csv', (text) => text.replace('mos', 'm'), /no column "mos"/);
  });

  it('reads where a received run points to, and writes its page alone', async () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(join(elsewhere, 'images'), { recursive: true });
    writeFileSync(join(elsewhere, 'thesis.txt'), 'years of work');
    for (const [name, root] of [
      ['wiping', elsewhere],
      ['drawing', join(folder, 'absent')],
    ] as const) {
      const { out } = await writeRun(name, {
        settings: { ...settings, data: 'scenes', root },
        folder: elsewhere,
      });
      const before = readdirSync(out);
      expect(await read(out)).toMatch(/The images cannot be shown: .*scenes/);
      expect(readdirSync(out).sort()).toEqual([...before, 'report.html'].sort());
    }
    expect(readdirSync(elsewhere).sort()).toEqual(['images', 'thesis.txt']);
    expect(existsSync(join(folder, 'absent'))).toBe(false);
    const { out } = await writeRun('linked');
    symlinkSync(join(elsewhere, 'thesis.txt'), join(out, 'report.html'));
    await expect(writeReport(out)).rejects.toThrow(/report\.html is a symbolic link/);
    expect(readFileSync(join(elsewhere, 'thesis.txt'), 'utf8')).toBe('years of work');
  });
});

describe('charts', () => {
  it('takes more points than a call takes arguments', () => {
    const images = Array.from({ length: 150_000 }, (_, i) => ({
      name: `p${i}`,
      mos: i % 5,
      prediction: (i * 7) % 11,
    }));
    expect(scatterChart(images, 'quality').shown).toBe(3000);
    expect(extent(images.map(({ prediction }) => prediction))).toEqual([0, 10]);
  });

  it('put every mark at its values', () => {
    const images = [0.3, 1.1, 2.7, 3.2, 4.4].map((mos, i) => ({
      name: `p${i}`,
      mos,
      prediction: [0.9, 0.4, 3.1, 2.2, 3.9][i]!,
    }));
    const { svg, shown } = scatterChart(images, 'quality');
    expect(shown).toBe(5);
    const marks = [
      ...svg.matchAll(/matrix\([^)]*,([\d.]+),([\d.]+)\)"[^>]*ecmeta_series_index="0"[^>]*><title>(p\d)\n/g),
    ].map(([, x, y, name]) => ({ x: Number(x), y: Number(y), ...images.find((p) => p.name === name)! }));
    expect(marks).toHaveLength(5);
    const of = (key: 'x' | 'y' | 'mos' | 'prediction') => marks.map((mark) => mark[key]);
    expect(plcc(of('x'), of('prediction'))).toBeGreaterThan(0.99999);
    expect(plcc(of('y'), of('mos'))).toBeLessThan(-0.99999); // y of an SVG points down
    expect(svg).toContain('logistic fit');
  });

  it('draw bars as long as the errors', () => {
    const metrics = (rmse: number) => ({ ...metricsOf([1, 2, 4], [1, 2, 3]), rmse });
    const groups = [0.2, 0.5, 0.1].map((rmse, i) => [`g${i}`, metrics(rmse)] as const);
    const svg = groupChart(groups, metrics(0.3), 'generator');
    const bars = [
      ...svg.matchAll(/<path d="M([\d.]+) [\d.]+l([\d.]+) 0[^>]*ecmeta_series_index[^>]*><title>(g\d)/g),
    ];
    const lengths = Object.fromEntries(bars.map(([, , length, name]) => [name, Number(length)]));
    expect(lengths.g1! / lengths.g0!).toBeCloseTo(2.5, 1);
    expect(lengths.g0! / lengths.g2!).toBeCloseTo(2, 1);
    expect(svg).toContain('all: 0.300');
  });

  it('name the epoch that was kept, where it is not the last, and the parts', () => {
    expect(srccChart(epochs(5), 3)).toContain('kept: epoch 3');
    expect(srccChart(epochs(5), 5)).not.toContain('kept');
    const both = epochs(4).map((record) => ({ ...record, val: record.test }));
    expect(srccChart(both, 4)).toContain('>validation</text>');
    expect(srccChart([{ ...epochs(1)[0]!, test: null }], 1)).toBeNull();
    expect(lossChart(epochs(3), settings)).toContain('mean squared error (MOS²)');
    expect(lossChart(epochs(3), { ...settings, trainer: 'coop' })).toContain('cross-entropy (nats)');
  });

  it('stand one epoch, one image, equal predictions and undefined metrics', () => {
    const [only] = epochs(1);
    const undefinedMetrics = { ...metricsOf([1, 1], [1, 2]), rmse: Number.NaN };
    const image = { name: 'p', mos: 3, prediction: 2 };
    const drawn = [
      lossChart([only!], settings),
      srccChart([only!], 1)!,
      scatterChart([image], 'quality').svg,
      scatterChart(
        [1, 2, 3, 4, 5, 6].map((mos) => ({ ...image, mos })),
        'quality',
      ).svg,
      groupChart(
        [
          ['a', undefinedMetrics],
          ['b', metricsOf([1, 2], [2, 2])],
        ],
        undefinedMetrics,
        'generator',
      ),
    ];
    for (const svg of drawn) {
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(svg).toMatch(/<title>/);
    }
  });

  it('write titles and labels as text, whatever is in a name', () => {
    const svg = drawChart({
      label: 'a "label" <b>',
      x: { type: 'value' },
      y: { type: 'value' },
      series: [{ type: 'scatter', data: [[1, 1]] }],
      titles: () => '<script>&',
    });
    expect(svg).toContain('aria-label="a &quot;label&quot; &lt;b&gt;"');
    expect(svg).toContain('<title>&lt;script&gt;&amp;</title>');
  });
});

it.skipIf(process.platform === 'win32')('shows no image that is none, and waits for none', async () => {
  const { out, images } = await writeRun('odd');
  const odd = join(folder, 'odd images');
  cpSync(root, odd, { recursive: true });
  const [pipe, svg] = images.map(({ name }) => join(odd, name));
  for (const path of [pipe!, svg!]) rmSync(path);
  execFileSync('mkfifo', [pipe!]);
  writeFileSync(
    svg!,
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
  );
  const shown = (page: string) => page.split('<img').length;
  const page = await read(out, { root: odd, images: images.length });
  const whole = await read(out, { root, images: images.length });
  expect(shown(page)).toBeLessThan(shown(whole));
  expect(shown(page)).toBeGreaterThan(1);
});

inBrowser('a report with all it can have prints on three pages, A4 and Letter', async () => {
  const bin = { n: 40, stated: 0.5, observed: 0.5, covered: 0.95 };
  const doubt = { folds: 3, errors: Array(5).fill(bin), grades: Array(11).fill(bin) };
  const { out, images } = await writeRun('print', { doubt });
  const rows = Array.from({ length: 60 }, (_, i) => [
    images[i % images.length]!.name,
    1 + i / 20,
    4 - i / 30,
  ]);
  writeFileSync(join(out, 'predictions.csv'), stringify([['name', 'mos', 'prediction'], ...rows]));
  const page = await read(out);
  // Each image has a relevance map below it in a report that can compute them.
  const doubled = page.replace(/<img [^>]*>/g, '$&$&');
  expect(doubled.length).toBeGreaterThan(page.length);
  const file = join(out, 'print.html');
  writeFileSync(file, doubled);
  const browser = await driver.launch({ executablePath: chromium!, args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    await tab.goto(pathToFileURL(file).href);
    for (const format of ['A4', 'Letter']) {
      const pdf = (await tab.pdf({ format })).toString('latin1');
      expect(pdf.match(/\/Type\s*\/Page\b/g)!.length, format).toBeLessThanOrEqual(3);
    }
  } finally {
    await browser.close();
  }
});
