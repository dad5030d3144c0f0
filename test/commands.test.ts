import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { maxError } from '../src/common/compare.ts';
import { inNaturalOrder } from '../src/common/natural-order.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { runBuilt } from './built-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The commands as people run them.
const folder = temporaryFolder('commands');

const run = (name: string, ...args: string[]) => runBuilt(name, args);

/** Every command, with the options it cannot do without. */
const commands: [string, ...string[]][] = [
  ['train'],
  ['eval', '--model', 'm'],
  ['evaluate'],
  ['score', 'p', '--model', 'm'],
  ['encode', '--out', 'o'],
  ['parity', '--reference', 'r'],
  ['weights'],
  ['mat2csv'],
  ['demo'],
  ['interpret', 'r'],
  ['report', 'r'],
  ['status', 'r'],
  ['merge', 'r'],
  ['worker', '--root', 'r'],
];

describe.each(commands)('%s', (name, ...needed) => {
  it('has a help page with examples, and refuses an unknown option in one line', () => {
    const help = run(name, '--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/Examples:\n +(node dist|npm run)/);
    const wrong = run(name, ...needed, '--no-such-option');
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/^error: unknown option '--no-such-option'/m);
  });
});

it("the demo's help shows the demo's defaults, not those of train", () => {
  const defaults = (name: string) => {
    const pairs = run(name, '--help')
      .stdout.replace(/\n {4,}/g, ' ')
      .matchAll(/^ +--([a-z-]+) .*\(default: (.*)\)$/gm);
    return Object.fromEntries([...pairs].map(([, option, value]) => [option, value]));
  };
  const settings = parse(readFileSync('configs/demo.yaml', 'utf8')) as Record<string, unknown>;
  const shown = defaults('demo');
  for (const [name, value] of Object.entries({ ...settings, out: 'output/demo' }))
    expect(shown[name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)], name).toBe(`${value}`);
  expect(defaults('train').epochs).toBe('100');
});

describe('options of another kind', () => {
  it.each([
    ['score', ['p', '--model', 'm', '--batch', '0'], /--batch takes an integer of at least 1, not 0/],
    ['encode', ['--out', 'o', '--batch', 'many'], /--batch takes an integer of at least 1, not many/],
    ['train', ['--config', 'rn50'], /no configuration named rn50\n.*one of .*image-only-deit.*vit_b16_ep100/],
    ['evaluate', ['--data', 'agiqa-3k'], /agiqa-3k needs --root/],
    ['encode', ['--out', 'o', '--weight-type', 'int8'], /int8.*Allowed choices are float32, float16/],
  ] as [string, string[], RegExp][])('%s %j', (name, args, error) => {
    const { status, stderr } = run(name, ...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(error);
  });
});

describe('encode', () => {
  it("writes the features of ready tensors, equal to PyTorch's", async () => {
    const out = join(folder, 'features.safetensors');
    const tiny = 'test/fixtures/reference/tiny';
    const result = run(
      'encode',
      '--weights',
      `${tiny}/openai.safetensors`,
      '--tensors',
      `${tiny}/forward.safetensors`,
      '--out',
      out,
    );
    expect(result.stderr).toContain('image_features  [3, 64]');
    expect(result.status).toBe(0);
    const [found, expected] = [
      await openTensorFile(out),
      await openTensorFile(`${tiny}/forward.safetensors`),
    ];
    for (const name of ['image_features', 'text_features'])
      expect(maxError(await found.read(name), await expected.read(name))).toBeLessThan(2e-5);
    await Promise.all([found.close(), expected.close()]);
  });

  it('takes the activation where the file does not say it', async () => {
    const tiny = 'test/fixtures/reference/tiny';
    const inputs = ['--tensors', `${tiny}/forward.safetensors`];
    const converted = join(folder, 'gelu.safetensors');
    run('weights', '--convert', `${tiny}/openai.safetensors`, '--activation', 'gelu', '--out', converted);
    const features = async (name: string, ...args: string[]) => {
      const out = join(folder, `${name}.safetensors`);
      expect(run('encode', ...inputs, ...args, '--out', out).status).toBe(0);
      const file = await openTensorFile(out);
      const values = await file.read('image_features');
      await file.close();
      return values;
    };
    const told = await features('told', '--weights', `${tiny}/openai.safetensors`, '--activation', 'gelu');
    expect(told).toEqual(await features('stored', '--weights', converted));
    const quick = await features('quick', '--weights', `${tiny}/openai.safetensors`);
    expect(maxError(told, quick)).toBeGreaterThan(1e-4);
  });

  it('says when no image could be read', () => {
    const args = ['--weights', 'test/fixtures/tiny-clip.json', '--image', 'README.md'];
    const { status, stderr } = run('encode', ...args, '--out', join(folder, 'none.safetensors'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: none of the 1 images could be read/m);
  });

  it('says what is wrong with tensors of another shape', () => {
    const tiny = 'test/fixtures/reference/tiny';
    const result = run(
      'encode',
      '--tensors',
      `${tiny}/forward.safetensors`,
      '--out',
      join(folder, 'x.safetensors'),
    );
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/images are \[3, 3, 48, 48\], expected \[n, 3, 224, 224\]/);
  });
});

describe('parity', () => {
  it('passes on the figures, and fails with status 1 and the name of what departs', () => {
    const reference = join(folder, 'reference');
    cpSync('test/fixtures/reference', reference, { recursive: true });
    const only = ['--only', 'tokenizer', 'schedule'];
    const good = run('parity', '--reference', reference, ...only, '--json');
    expect(good.status).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ failed: 0, results: [{ ok: true }, { ok: true }] });
    const schedule = join(reference, 'lr-schedule.json');
    writeFileSync(schedule, readFileSync(schedule, 'utf8').replace('0.0019995065603657315', '0.0019995'));
    const bad = run('parity', '--reference', reference, ...only);
    expect(bad.status).toBe(1);
    expect(bad.stdout).toMatch(/learning rates of 100 epochs .* FAIL/);
    expect(bad.stdout).toMatch(/2 values, 1 failed; first failure: learning rates/);
    const empty = run('parity', '--reference', folder, ...only);
    expect(empty.stdout).toMatch(/tokenizer +not present/);
    expect(empty.status).toBe(1);
  });
});

describe('train, score and eval', () => {
  const out = join(folder, 'run');
  const data = ['--data', 'agiqa-3k', '--root', 'test/fixtures/datasets/agiqa-3k'];

  it('train a run on the published layout, and print its summary as JSON', () => {
    const settings = [
      '--weights',
      'test/fixtures/tiny-clip.json',
      '--epochs',
      '2',
      '--batch-size',
      '4',
      '--cache',
      'none',
    ];
    const result = run('train', ...data, ...settings, '--out', out, '--json', '--tensorboard');
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/^adapter /m);
    expect(result.stderr).toMatch(/epoch 2\/2 {2}lr 2\.00e-3 {2}loss/);
    const summary = JSON.parse(result.stdout);
    expect(summary).toMatchObject({ folder: out, epochs: 2, settings: { data: 'agiqa-3k', epochs: 2 } });
    expect(summary.mos).toEqual({ target: 'quality', range: [0.5, 3.8] });
    expect(result.stderr).toMatch(/^scores +quality, 0\.5 to 3\.8, 12 images$/m);
    expect(readFileSync(join(out, 'split.csv'), 'utf8').trim().split('\n')).toHaveLength(1 + 12);
    expect(summary.images.train + summary.images.test).toBe(12);
    expect(readdirSync(out).filter((name) => name.startsWith('events.out.tfevents.'))).toHaveLength(1);
    const report = join(out, 'report.html');
    expect(result.stderr).toContain(`report     ${report}`);
    const page = readFileSync(report, 'utf8');
    expect(page).toContain(summary.test.overall.rmse.toFixed(4));
    rmSync(report);
    expect(run('report', out).stdout).toBe(`${report}\n`);
    expect(readFileSync(report, 'utf8')).toBe(page);
  });

  it('lists at the end what could not be read', () => {
    const root = join(folder, 'with-a-broken-one');
    cpSync('test/fixtures/datasets/agiqa-3k', root, { recursive: true });
    writeFileSync(join(root, 'AttnGAN_normal_000.jpg'), 'not an image');
    const settings = [
      '--weights',
      'test/fixtures/tiny-clip.json',
      '--epochs',
      '1',
      '--batch-size',
      '4',
      '--cache',
      'none',
    ];
    const result = run(
      'train',
      '--data',
      'agiqa-3k',
      '--root',
      root,
      ...settings,
      '--out',
      join(folder, 'run-2'),
    );
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/^unreadable 1: .*AttnGAN_normal_000\.jpg$/m);
  });

  it('score a folder as table, CSV and JSON lines, and name what is no image', () => {
    const images = join(folder, 'images');
    cpSync('test/fixtures/datasets/agiqa-3k', images, { recursive: true });
    writeFileSync(join(images, 'broken.png'), 'not an image');
    const table = run('score', images, '--model', out);
    expect(table.status).toBe(0);
    expect(table.stdout.trim().split('\n')).toHaveLength(2 + 12);
    expect(table.stderr).toMatch(/broken\.png/);
    const csv = join(folder, 'new', 'scores.csv');
    const lines = run('score', images, '--model', out, '--csv', csv, '--json').stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line)).filter((row) => typeof row.score === 'number')).toHaveLength(
      12,
    );
    const rows = readFileSync(csv, 'utf8').trim().split('\n');
    expect(rows[0]).toBe('path,score,error');
    const names = readdirSync(images).filter((name) => name !== 'data.csv');
    expect(rows.slice(1).map((row) => basename(row.split(',')[0]!))).toEqual(inNaturalOrder(names));
    const nowhere = run('score', images, '--model', out, '--csv', join(csv, 'scores.csv'));
    expect(nowhere.status).toBe(1);
    expect(nowhere.stderr).toMatch(/^error: .*scores\.csv is a file, not a folder/m);
    expect(nowhere.stderr).not.toMatch(/adapter/);
  });

  it('evaluate the test part of the dataset it was trained on', () => {
    const result = run('eval', '--model', out, '--json');
    expect(result.status).toBe(0);
    const { overall } = JSON.parse(result.stdout);
    const { test } = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'));
    expect(overall.n).toBe(test.overall.n);
    expect(overall.rmse).toBeCloseTo(test.overall.rmse, 4);
    // What is left out is the trained run's, so the help shows no defaults of a new one.
    expect(run('eval', '--help').stdout).not.toContain('(default: embedded)');
    const table = run('eval', '--model', out).stdout;
    expect(table).toMatch(
      new RegExp(`^all +${overall.n} +\\S+ +\\S+ +\\S+ +${overall.rmse.toFixed(4)}$`, 'm'),
    );
    expect(table).toMatch(/^ {2}95% from .*\n {2}95% to .*\n {2}4-parameter .*\n {2}5-parameter /m);
  });
});
