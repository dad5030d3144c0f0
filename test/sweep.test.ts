import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { redisProgram, startRedis } from '../scripts/queue-servers.mjs';
import { silent } from '../src/common/reporter.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';
import { readPlan } from '../src/scale/plan.ts';
import { readSweep, sweepRows } from '../src/scale/sweep.ts';
import { SweepWorker } from '../src/scale/sweep-worker.ts';
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

it.runIf(redisProgram)(
  'its runs may be handed out by a queue, and go on where a killed worker was',
  async () => {
    const server = await startRedis();
    const workers = new Set<ReturnType<typeof spawn>>();
    try {
      const env = { ...process.env, QUEUE_URL: server.url };
      writeFileSync(file, 'seed: [1, 2]\n');
      const same = ['--sweep', file, ...settings, '--epochs', '40', '--views', '1', '--batch-size', '4'];
      const [out, alone] = [join(folder, 'queued'), join(folder, 'unqueued')];
      const handed = runBuilt('train', [...same, '--out', out, '--queue', '--detach'], { env });
      expect(handed.stderr).toMatch(/2 of 2 shards handed out/);
      const start = () => {
        const child = spawn(process.execPath, ['dist/worker.js', '--root', folder, '--lock-seconds', '2'], {
          env,
        });
        workers.add(child);
        const worker = { child, text: '', ended: new Promise((done) => child.on('close', done)) };
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (worker.text += data));
        return worker;
      };
      const until = async (done: () => boolean) => {
        for (let waited = 0; !done(); waited += 5) {
          if (waited > 60_000) throw new Error('nothing happens');
          await sleep(5);
        }
      };
      const runs = join(out, 'runs');
      const begun = () => (existsSync(runs) ? readdirSync(runs) : []);
      const first = start();
      await until(() => begun().some((run) => existsSync(join(runs, run, 'checkpoint.safetensors'))));
      first.child.kill('SIGKILL');
      await first.ended;
      const [run] = begun();
      expect(existsSync(join(runs, run!, 'summary.json'))).toBe(false);
      // As a machine leaves it that dies with its worker.
      writeFileSync(join(runs, run!, 'run.lock-00000000-00000000-1-1'), '');
      const second = start();
      await until(() =>
        ['run-000000', 'run-000001'].every((one) => existsSync(join(runs, one, 'summary.json'))),
      );
      second.child.kill('SIGTERM');
      await second.ended;
      expect(second.text).toMatch(/resuming {3}after epoch \d+ of 40/);
      expect(runBuilt('train', [...same, '--out', alone]).status).toBe(0);
      expect(await merged(out)).toBe(await merged(alone));
      const status = JSON.parse(runBuilt('status', [out, '--json']).stdout);
      expect(status).toMatchObject({ rows: { done: 2, of: 2 }, workers: [{ shards: 2 }] });
    } finally {
      for (const child of workers) child.kill('SIGKILL');
      await server.stop();
    }
  },
);

it('a worker reads and writes only where it was told to: a plan is data', async () => {
  const out = join(folder, 'elsewhere');
  const planned = (...more: string[]) =>
    runBuilt('train', ['--sweep', file, ...settings, ...small, '--out', out, '--plan-only', ...more]);
  expect(planned('--cache', join(out, 'features')).status).toBe(0);
  const open = async (...roots: string[]) =>
    SweepWorker.open(await readPlan(out), undefined as never, { reporter: silent, roots });
  await expect(open(out)).rejects.toThrow(/the root of its runs, .*images, lies outside of/);
  await expect(open(images)).rejects.toThrow(/the cache of its runs, .*features, lies outside of/);
  await (await open(images, out)).close();
});
