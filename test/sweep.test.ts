import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { readSweep, sweepRows } from '../src/scale/sweep.ts';
import { defaultSettings } from '../src/training/settings.ts';
import { runBuilt } from './built-command.ts';
import { merged } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('sweep');
const images = join(folder, 'images');
const file = join(folder, 'sweep.yaml');
const settings = [
  '--root',
  images,
  '--weights',
  resolve('test/fixtures/tiny-clip.json'),
  '--trainer',
  'image-only',
];
const small = ['--epochs', '2', '--views', '1', '--batch-size', '4'];

beforeAll(async () => {
  await makeScenes(images, { scenes: 10, versions: 2, size: 64, seed: 3 });
  writeFileSync(file, 'lr: [0.01, 0.02]\nseed: [1, 2]\noptimizer: sgd\n');
});

it('a sweep is every combination, the last setting fastest', () => {
  const sweep = readSweep(file);
  expect(sweep.names).toEqual(['lr', 'seed', 'optimizer']);
  expect(sweepRows(sweep, defaultSettings(), file).map(({ path }) => path)).toEqual([
    'lr=0.01 seed=1 optimizer=sgd',
    'lr=0.01 seed=2 optimizer=sgd',
    'lr=0.02 seed=1 optimizer=sgd',
    'lr=0.02 seed=2 optimizer=sgd',
  ]);
});

it.each([
  ['lr: [0.1, [1]]', /lr is neither a value nor a list/],
  ['out: here', /out is the sweep's own/],
  ['- lr', /sweep/],
  ['no-such: [1]', /no-such/],
  [
    `${['a', 'b', 'c'].map((name) => `${name}: [${Array.from({ length: 60 }, (_, i) => i)}]`).join('\n')}`,
    /more than 100000/,
  ],
])('%s is refused', (text, error) => {
  const path = join(folder, 'wrong.yaml');
  writeFileSync(path, text);
  expect(() => sweepRows(readSweep(path), defaultSettings(), path)).toThrow(error);
});

it('its runs may be trained in parts, and are those of train alone', async () => {
  const out = join(folder, 'out');
  const args = ['--sweep', file, ...settings, ...small, '--out', out];
  for (const part of ['1/2', '0/2']) {
    const { status, stderr } = runBuilt('train', [...args, '--shard', part]);
    expect(stderr).toContain(`part ${part[0]} of 2: 2 of 4 runs to do`);
    expect(status).toBe(0);
  }
  expect(runBuilt('train', args).stderr).toMatch(/0 of 4 runs to do/);
  const lines = (await merged(out)).trim().split('\n');
  expect(lines).toHaveLength(5);
  expect(lines[0]).toBe('run,lr,seed,optimizer,srcc,plcc,krcc,rmse,accuracy');
  expect(lines[2]).toMatch(/^run-000001,0\.01,2,sgd,-?0\.\d+,/);
  const alone = join(folder, 'alone');
  const same = [...settings, ...small, '--lr', '0.01', '--seed', '2', '--optimizer', 'sgd', '--out', alone];
  expect(runBuilt('train', [...same, '--cache', 'none']).status).toBe(0);
  const predictions = (run: string) => readFileSync(join(run, 'predictions.csv'), 'utf8');
  expect(predictions(join(out, 'runs/run-000001'))).toBe(predictions(alone));
  expect(existsSync(join(out, 'cache'))).toBe(true);
  expect(runBuilt('train', [...args, '--lr', '0.5']).status).toBe(0);
  const other = runBuilt('train', [...args, '--epochs', '3']);
  expect(other.stderr).toMatch(/was planned with other runs/);
});
