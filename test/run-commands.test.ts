import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Stopped } from '../src/common/errors.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { writeSafetensors } from '../src/data/formats/safetensors-file.ts';
import { openTensorFile } from '../src/data/formats/tensor-file.ts';
import { evaluateModel } from '../src/scoring/evaluate-model.ts';
import type { Scorer } from '../src/scoring/scorer.ts';
import { runBuilt } from './built-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

// The commands as people run them, in a folder that is not the project's.
const folder = temporaryFolder('run-commands');

const root = resolve('test/fixtures/datasets/agiqa-3k');
const data = ['--data', 'agiqa-3k', '--root', root, '--weights', resolve('test/fixtures/tiny-clip.json')];
const small = [
  ...data,
  '--trainer',
  'image-only',
  '--augment',
  'none',
  '--batch-size',
  '4',
  '--cache',
  'none',
];
const dist = resolve('dist');
const environment = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') };

const run = (name: string, ...args: string[]) => runIn(folder, name, ...args);

function runIn(cwd: string, name: string, ...args: string[]) {
  const ran = runBuilt(name, args, { cwd, env: environment });
  return { ...ran, error: ran.stderr.slice(ran.stderr.indexOf('error: ')) };
}

const oneLine = /^error: .*\n {2}.*\n$/;
const recordsOf = (out: string) =>
  readFileSync(join(folder, out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');

describe('train', () => {
  it('leaves a folder that is no dataset as it is, and says what was probably forgotten', () => {
    const mine = join(folder, 'mine');
    mkdirSync(join(mine, 'images'), { recursive: true });
    writeFileSync(join(mine, 'thesis.txt'), 'years of work');
    const { status, error } = run(
      'train',
      '--root',
      'mine',
      '--epochs',
      '1',
      '--limit',
      '20',
      '--cache',
      'none',
    );
    expect(status).toBe(1);
    expect(error).toMatch(oneLine);
    expect(error).toMatch(/mine holds files, but no generated scenes.*\n.*--data agiqa-3k/);
    expect(readFileSync(join(mine, 'thesis.txt'), 'utf8')).toBe('years of work');
    expect(readdirSync(mine).sort()).toEqual(['images', 'thesis.txt']);
  });

  it('refuses a place that cannot be written before the work, in one line', () => {
    writeFileSync(join(folder, 'file'), '');
    const { status, stderr, error } = run('train', ...small, '--epochs', '1', '--out', 'file/run');
    expect(status).toBe(1);
    expect(error).toMatch(oneLine);
    expect(stderr).not.toMatch(/^(scores|features)/m);
  });

  it('resumes a run by its folder alone, with its own settings, and refuses others by name', () => {
    expect(run('train', ...small, '--epochs', '2', '--lr', '0.01', '--out', 'run').status).toBe(0);
    const { status, error } = run('train', '--resume', 'run', '--lr', '5', '--seed', '2');
    expect(status).toBe(1);
    expect(error).toMatch(oneLine);
    expect(error).toMatch(/run was trained with --lr 0\.01, not 5; --seed 1, not 2/);
    const longer = run('train', '--resume', '--out', 'run', '--epochs', '3');
    expect(longer.stderr).toMatch(/^scores +quality, 0\.5 to 3\.8, 12 images$/m);
    expect(longer.stderr).toMatch(/^extended +from 2 to 3 epochs/m);
    expect(longer.stderr).toMatch(/^resuming +after epoch 2 of 3$/m);
    expect(recordsOf('run')).toHaveLength(3);
  });

  it('stopped by Ctrl-C says how to go on in its last line, with status 130', async () => {
    const args = [join(dist, 'train.js'), ...small, '--epochs', '3000', '--out', 'stopped'];
    const child = spawn(process.execPath, args, { cwd: folder, env: environment });
    let [stderr, sent] = ['', false];
    child.stderr.on('data', (text) => {
      stderr += text;
      if (!sent && /^epoch +3\//m.test(stderr)) sent = child.kill('SIGINT');
    });
    expect(await new Promise((done) => child.on('close', done))).toBe(130);
    const last = stderr.trimEnd().split('\n').at(-1)!;
    const said =
      /^stopped {4}after epoch (\d+) of 3000; continue with: node dist\/train\.js --resume stopped$/;
    expect(last).toMatch(said);
    expect(recordsOf('stopped')).toHaveLength(Number(said.exec(last)![1]));
    expect(readdirSync(join(folder, 'stopped')).sort()).toEqual([
      'checkpoint.safetensors',
      'config.yaml',
      'metrics.jsonl',
      'split.csv',
    ]);
  });

  it('names its runs after their settings, goes on with that of the same command line, and is found from any folder', () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    cpSync(root, join(folder, 'data'), { recursive: true });
    const args = [...small, '--root', '../data', '--epochs', '1', '--lr', '0.01'];
    expect(runIn(elsewhere, 'train', ...args).status).toBe(0);
    const [name, ...others] = readdirSync(join(elsewhere, 'output', 'agiqa-3k'));
    expect(name).toMatch(/^image-only-[0-9a-f]{6}$/);
    expect(others).toEqual([]);
    expect(runIn(elsewhere, 'train', ...args, '--resume').stderr).toMatch(/^resuming +after epoch 1 of 1$/m);
    const model = join('elsewhere', 'output', 'agiqa-3k', name!, 'seed1');
    expect(run('eval', '--model', model, '--json').status).toBe(0);
  });
});

describe('the demo', () => {
  const demo = (...args: string[]) => run('demo', ...small, '--epochs', '1', ...args);

  it('may be repeated, but replaces no run of another kind', () => {
    expect(demo().status).toBe(0);
    expect(demo().status).toBe(0);
    const other = demo('--lr', '0.5');
    expect(other.status).toBe(1);
    expect(other.error).toMatch(/already holds a run/);
  });
});

describe('eval', () => {
  it('reads where a received model points to, and writes nothing', async () => {
    const [mine, received] = [join(folder, 'private'), join(folder, 'received.safetensors')];
    mkdirSync(mine);
    writeFileSync(join(mine, 'thesis.txt'), 'years of work');
    const file = await openTensorFile(join(folder, 'run', 'model.safetensors'));
    const tensors = new Map<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }>();
    for (const [name, { shape }] of file.tensors)
      tensors.set(name, { dtype: 'F32', shape, data: await file.read(name) });
    const { settings, ...metadata } = file.metadata;
    await file.close();
    const changed = JSON.stringify({ ...JSON.parse(settings!), data: 'scenes', root: mine });
    await writeSafetensors(received, tensors, { ...metadata, settings: changed });
    const { status, error } = run('eval', '--model', received);
    expect(status).toBe(1);
    expect(error).toMatch(oneLine);
    expect(error).toMatch(/no scenes found/);
    expect(readdirSync(mine)).toEqual(['thesis.txt']);
  });

  it('refuses an output that cannot be written before the work', () => {
    const { status, stderr, error } = run('eval', '--model', 'run', '--out', 'run');
    expect(status).toBe(1);
    expect(error).toMatch(/^error: run: is a folder\n/);
    expect(stderr).not.toMatch(/^adapter/m);
  });

  it('that is stopped says how far it came, and that nothing was written', async () => {
    const dataset = await openDataset({ name: 'agiqa-3k', root, testSize: 0.5 });
    const stop = new AbortController();
    const scorer = {
      async *score(paths: readonly string[]) {
        for (const [index, path] of paths.entries()) {
          if (index === 4) stop.abort();
          yield { index, path, score: index };
        }
      },
    } as unknown as Scorer;
    const error = await evaluateModel(scorer, dataset, { signal: stop.signal }).catch((reason) => reason);
    expect(error).toBeInstanceOf(Stopped);
    expect(error.message).toBe('after 4 of 6 images; nothing was written');
  });
});
