import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCsv } from '../src/data/formats/csv.ts';
import { readImageList } from '../src/scoring/image-list.ts';
import { ScoreSummary } from '../src/scoring/score-summary.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';

// The command as people run it: `npm test` builds dist/ first.
const folder = mkdtempSync(join(tmpdir(), 'score-command-'));
const place = (name: string) => join(folder, name);
const weights = resolve('test/fixtures/tiny-clip.json');
let images: string[];
let model: string;

beforeAll(async () => {
  images = await drawImages(place('images'), 3);
  for (const [i, name] of ['img10.png', 'img9.png', 'Img1.png'].entries()) {
    renameSync(images[i]!, place(`images/${name}`));
    images[i] = place(`images/${name}`);
  }
  writeFileSync(place('images/broken.png'), 'no image');
  writeFileSync(place('images/notes.txt'), '');
  mkdirSync(place('images/.git'));
  model = await writeModel(place('model.safetensors'), weights);
});
afterAll(() => rmSync(folder, { recursive: true }));

function score(args: readonly string[], options: { readonly input?: string; readonly cwd?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('dist/score.js'), ...args], {
    encoding: 'utf8',
    ...options,
  });
  return { status, stdout, stderr };
}
const names = (stdout: string) => [...stdout.matchAll(/^(\S+\.png)/gm)].map(([, path]) => basename(path!));

describe('score', () => {
  it('takes the embedded model where none is named, and says what its scores are', () => {
    const { status, stdout, stderr } = score([...images]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^image +score\n-+ +-+\n(.*\.png +-?\d\.\d{4}\n){3}$/);
    expect(stderr).toMatch(/^model {6}embedded: quality of AI-generated images, 0 \(worst\) to 5 \(best\)$/m);
  });

  it('sums up what was scored, what could not be, and what was left out', () => {
    const { status, stdout, stderr } = score([place('images'), '--model', model, '--csv', place('all.csv')]);
    expect(status).toBe(0);
    expect(stdout).toBe('');
    const rows = readFileSync(place('all.csv'), 'utf8').trim().split('\n').slice(1);
    const scores = rows.flatMap((row) => (row.split(',')[1] ? [Number(row.split(',')[1])] : []));
    const mean = scores.reduce((a, b) => a + b) / 3;
    const std = Math.sqrt(scores.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 3);
    const fixed = (value: number) => value.toFixed(4);
    expect(stderr).toContain(`scores     3 images: mean ${fixed(mean)}, std ${fixed(std)}\n`);
    expect(stderr).toContain(`lowest ${fixed(Math.min(...scores))} (${place('images')}`);
    expect(stderr).toContain(`highest ${fixed(Math.max(...scores))} (${place('images')}`);
    expect(stderr).toMatch(/^time {7}\d+\.\d s, [\d.]+ images\/s$/m);
    expect(stderr).toMatch(/^left out {3}1 that is not an image \(\.txt 1\), 1 hidden$/m);
    expect(stderr).toMatch(/^skipped {4}1 of 4 images could not be read$/m);
    expect(stderr.trim().split('\n').at(-1)).toBe(
      `results    3 of 4 images scored, written to ${place('all.csv')}`,
    );
  });

  it('sorts by score, by name as people do, or not at all', () => {
    const sorted = (...args: string[]) => names(score([...images, '--model', model, ...args]).stdout);
    const table = score([...images, '--model', model]).stdout;
    const values = [...table.matchAll(/ (-?[\d.]+)$/gm)].map(([, value]) => Number(value));
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(names(table)).toEqual(sorted('--sort', 'score'));
    expect(sorted('--sort', 'name')).toEqual(['Img1.png', 'img9.png', 'img10.png']);
    expect(sorted('--sort', 'none')).toEqual(['img10.png', 'img9.png', 'Img1.png']);
    const csv = score([...images, '--model', model, '--csv', '-', '--sort', 'score']).stdout;
    expect(
      csv
        .trim()
        .split('\n')
        .slice(1)
        .map((row) => basename(row.split(',')[0]!)),
    ).toEqual(names(table));
    const json = score([...images, '--model', model, '--json'])
      .stdout.trim()
      .split('\n');
    expect(json.map((line) => basename(JSON.parse(line).path))).toEqual(images.map((path) => basename(path)));
  });

  it('--strict ends with status 1 if an image could not be scored', () => {
    expect(score([place('images'), '--model', model]).status).toBe(0);
    expect(score([place('images'), '--model', model, '--strict']).status).toBe(1);
    expect(score([...images, '--model', model, '--strict']).status).toBe(0);
    expect(score([place('images/broken.png'), '--model', model]).status).toBe(1);
  });

  it('--quiet prints scores and what went wrong, nothing else', () => {
    const { stdout, stderr } = score([place('images'), '--model', model, '--quiet']);
    expect(names(stdout)).toHaveLength(3);
    const lines = stderr
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('Warning: maxDynamic'));
    expect(lines).toEqual([
      expect.stringMatching(/^skipped {4}.*broken\.png: not a readable image/),
      'skipped    1 of 4 images could not be read',
    ]);
  });

  it('adds columns for pairs of opposites, also to CSV and JSON', () => {
    const args = [
      images[0]!,
      '--zero-shot',
      '--weights',
      weights,
      '--pairs',
      'sharp|blurry',
      '--pairs',
      'a,b|c',
    ];
    expect(score(args).stdout).toMatch(/^image +score +sharp\|blurry +a,b\|c\n.*\n\S+ +(0\.\d{4} *){3}\n$/);
    const [header, row] = score([...args, '--csv', '-']).stdout.split('\n');
    expect(header).toBe('path,score,sharp|blurry,"a,b|c",error');
    const [path, ...values] = row!.split(',');
    expect(JSON.parse(score([...args, '--json']).stdout)).toEqual({
      index: 0,
      path,
      score: Number(values[0]),
      'sharp|blurry': Number(values[1]),
      'a,b|c': Number(values[2]),
    });
  });

  it('reads names from stdin, and expands patterns that come quoted', () => {
    const piped = score(['-', '--model', model, '--csv', '-'], { input: `${images[1]}\0${images[0]}\0` });
    expect(
      piped.stdout
        .split('\n')
        .slice(1, 3)
        .map((row) => row.split(',')[0]),
    ).toEqual([images[1], images[0]]);
    const quoted = score([join(folder, '**', 'img*.png'), '--model', model, '--sort', 'name']);
    expect(names(quoted.stdout)).toEqual(['img9.png', 'img10.png']);
    const none = score(['-', '--model', model], { input: '' });
    expect([none.status, none.stderr]).toEqual([1, expect.stringMatching(/^error: no images in -$/m)]);
  });

  it('turns an image upright where asked to', async () => {
    const pixels = Uint8Array.from({ length: 48 * 48 * 3 }, (_, i) => (i < 3000 ? i % 200 : 250));
    const image = sharp(pixels, { raw: { width: 48, height: 48, channels: 3 } });
    await image.clone().png().toFile(place('upright.png'));
    await image.clone().rotate(270).withMetadata({ orientation: 6 }).png().toFile(place('turned.png'));
    const of = (...args: string[]) =>
      score([place('upright.png'), place('turned.png'), '--model', model, '--csv', '-', ...args])
        .stdout.split('\n')
        .slice(1, 3)
        .map((row) => row.split(',')[1]);
    const [upright, turned] = of();
    expect(turned).not.toBe(upright);
    expect(of('--exif')).toEqual([upright, upright]);
  });

  it.each([
    [[], /^error: no images to score$/m],
    [['a.png', '--zero-shot', '--model', 'x'], /^error: --zero-shot uses no --model$/m],
    [['a.png', '--pairs', 'sharp'], /^error: --pairs takes two texts with \| between them, not "sharp"$/m],
    [['a.png', '--prompt-column', 'p'], /^error: --prompt-column is for a list of images$/m],
    [['a.png', '--list', 'x.csv'], /^error: images are named both by --list and on the command line$/m],
    [['--list', 'missing.csv'], /^error: missing\.csv: cannot be read \(ENOENT\)$/m],
    [['nowhere.png'], /^error: nowhere\.png: no such file or folder$/m],
    [['nowhere*.png'], /^error: nowhere\*\.png: no file or folder matches$/m],
  ])('%j: an error of one line', (args, message) => {
    const { status, stdout, stderr } = score(args);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it('says what is missing where CLIP weights alone are named', () => {
    const { status, stderr } = score([...images, '--weights', weights]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: CLIP weights alone do not say how to score\n {2}Add --zero-shot/m);
  });
});

describe('a list of images and prompts', () => {
  it('gives each image the cosine with its prompt, and a row to one that is not there', async () => {
    const rows = [`${basename(images[0]!)},"a cat, asleep"`, `${basename(images[1]!)},`, 'gone.png,a dog'];
    writeFileSync(place('images/list.csv'), `name,prompt\n${rows.join('\n')}\n`);
    const args = ['--weights', weights, '--zero-shot', '--csv', place('list-scores.csv')];
    expect(score(['--list', place('images/list.csv'), ...args]).status).toBe(0);
    const { columns, rows: found } = await readCsv(place('list-scores.csv'));
    expect(columns).toEqual(['path', 'score', 'prompt_cosine', 'error']);
    const [cat, bare, gone] = found.map(({ fields }) => fields);
    expect(Math.abs(Number(cat!.prompt_cosine))).toBeLessThanOrEqual(1);
    expect(cat!.prompt_cosine).toMatch(/^-?0\.\d+/);
    expect([bare!.prompt_cosine, bare!.error]).toEqual(['', '']);
    expect([gone!.score, gone!.prompt_cosine]).toEqual(['', '']);
    expect(gone!.error).toMatch(/gone\.png: cannot be read \(ENOENT\)/);
    rmSync(place('images/list.csv'));
  });

  it('is CSV or JSON lines, its columns named or found', async () => {
    const [a, b] = images.map((path) => basename(path));
    writeFileSync(place('list.jsonl'), `{"image":"${a}","text":"a cat"}\n\n{"image":"${b}","extra":[1]}\n`);
    const root = place('images');
    expect(await readImageList(place('list.jsonl'), { root, promptColumn: 'text' })).toEqual({
      paths: images.slice(0, 2),
      prompts: ['a cat', undefined],
    });
    expect((await readImageList(place('list.jsonl'), { root })).prompts).toBeNull();
    // As AGIQA-3K has it: the images in a folder below the table.
    writeFileSync(place('data.csv'), `Picture,Prompt\n${a},a cat\n`);
    expect(await readImageList(place('data.csv'), { imageColumn: 'picture' })).toEqual({
      paths: [images[0]],
      prompts: ['a cat'],
    });
    const bad = (options: object, file = 'list.jsonl') => readImageList(place(file), { root, ...options });
    await expect(bad({ promptColumn: 'nope' })).rejects.toThrow(/no column "nope"; found: image, text$/);
    await expect(bad({ imageColumn: 'text' })).rejects.toThrow(/list\.jsonl, line 3: text is empty/);
    writeFileSync(place('bad.jsonl'), '{"image":"a.png"}\n{"image":\n');
    await expect(bad({}, 'bad.jsonl')).rejects.toThrow(/bad\.jsonl, line 2: is not JSON/);
    writeFileSync(place('empty.jsonl'), '\n');
    await expect(bad({}, 'empty.jsonl')).rejects.toThrow(/empty\.jsonl: holds no images/);
  });
});

describe('the learned alignment', () => {
  const alignment = (name: string, settings: object) =>
    writeModel(place(name), weights, undefined, { data: 'agiqa-3k', ...settings });

  it('is a column of the score of a second model, whatever feature that one takes', async () => {
    const second = await alignment('second.safetensors', { target: 'alignment', layers: '1', pool: 'stats' });
    const rows = (...args: string[]) =>
      score([place('images'), ...args, '--csv', '-'])
        .stdout.trim()
        .split('\n')
        .map((row) => row.split(','));
    const [header, ...both] = rows('--model', model, '--alignment', second);
    expect(header).toEqual(['path', 'score', 'alignment', 'error']);
    const [, ...alone] = rows('--model', second);
    const [, ...first] = rows('--model', model);
    expect(both.map(([path, , value]) => [path, value])).toEqual(alone.map(([path, value]) => [path, value]));
    expect(both.map(([path, value]) => [path, value])).toEqual(first.map(([path, value]) => [path, value]));
  });

  it('is refused of a model of something else', async () => {
    const quality = await alignment('quality.safetensors', {});
    const { status, stderr } = score([...images, '--model', model, '--alignment', quality]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: .*quality\.safetensors was trained on agiqa-3k's first score, not on alignment$/m,
    );
  });
});

describe('a model to be shared', () => {
  it('scores as before, and names no folder of the machine it was trained on', async () => {
    const settings = {
      root: '/srv/somebody/data',
      csv: '/srv/somebody/a.csv',
      cache: '/srv/somebody/cache',
    };
    const mine = await writeModel(place('mine.safetensors'), 'embedded', undefined, settings);
    const command = [resolve('dist/weights.js'), '--share', mine, '--out', place('shared.safetensors')];
    expect(spawnSync(process.execPath, command).status).toBe(0);
    const of = (path: string) => score([...images, '--model', path, '--csv', '-']).stdout;
    expect(of(place('shared.safetensors'))).toBe(of(mine));
    expect(readFileSync(mine, 'latin1')).toContain('somebody');
    expect(readFileSync(place('shared.safetensors'), 'latin1')).not.toMatch(/somebody|small-clip/);
  });
});

describe("a model's weights", () => {
  it('are found from any folder, also where both have moved together', async () => {
    const train = place('train');
    mkdirSync(train);
    copyFileSync(weights, join(train, 'clip.json'));
    const run = (command: string, args: readonly string[], cwd: string) =>
      spawnSync(process.execPath, [resolve('dist', command), ...args], { cwd, encoding: 'utf8' });
    const settings = ['--data', 'scenes', '--limit', '8', '--epochs', '1', '--trainer', 'image-only'];
    const trained = run('train.js', [...settings, '--weights', 'clip.json', '--out', 'run'], train);
    expect(trained.status).toBe(0);
    const before = score([images[0]!, '--model', join(train, 'run'), '--csv', '-'], { cwd: tmpdir() });
    expect(before.status).toBe(0);
    cpSync(join(train, 'run'), place('moved'), { recursive: true });
    renameSync(join(train, 'clip.json'), place('moved/clip.json'));
    const after = score([images[0]!, '--model', relative(folder, place('moved')), '--csv', '-'], {
      cwd: folder,
    });
    expect(after.stdout).toBe(before.stdout);
    const lost = score([images[0]!, '--model', join(train, 'run')]);
    expect(lost.status).toBe(1);
    expect(lost.stderr).toMatch(
      /^error: .*run was trained with the CLIP weights .*clip\.json, which are not there\n {2}Pass them with --weights\.$/m,
    );
  });
});

it('sums up scores of any size without loss', () => {
  const summary = new ScoreSummary();
  expect(summary.lines(1)).toEqual([]);
  for (const [index, score] of [1e8 + 1, 1e8 + 2, 1e8 + 3].entries())
    summary.add({ index, path: `${index}.png`, score, columns: index < 2 ? { 'a|b': index } : {} });
  summary.add({ index: 3, path: '3.png', error: 'unreadable' });
  expect(summary.counts).toEqual({ scored: 3, failed: 1 });
  expect(summary.lines(2)).toEqual([
    ['scores', '3 images: mean 100000002.0000, std 0.8165'],
    ['', 'lowest 100000001.0000 (0.png), highest 100000003.0000 (2.png)'],
    ['', 'a|b: mean 0.5000, std 0.5000'],
    ['time', '2.0 s, 2.00 images/s'],
  ]);
});
