import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { PublishConflict } from '../src/common/publish.ts';
import { parsePart } from '../src/scale/partition.ts';
import { tables } from '../src/scale/tables.ts';
import { runBuilt } from './built-command.ts';
import { drawImages, writeModel } from './scoring-fixture.ts';
import { merged, work } from './shard-fixture.ts';
import { temporaryFolder } from './temporary-folder.ts';

// Runs of shards. The reference is what one process writes without a plan.
const folder = temporaryFolder('shard-runs');
const images = join(folder, 'images');
const model = join(folder, 'model.safetensors');
const weights = resolve('test/fixtures/tiny-clip.json');
const count = 30;
let plain = '';

const out = (name: string) => join(folder, name);
const score = (...args: string[]) => runBuilt('score', args);
const start = (name: string) => [images, '--model', model, '--out', out(name), '--shard-size', '4'];

function results(name: string): string[] {
  try {
    return readdirSync(join(out(name), 'out/000'));
  } catch {
    return [];
  }
}

/** A folder with the plan of the first run, and none of its results. */
function copyOfPlan(name: string): string {
  cpSync(out('whole'), out(name), { recursive: true, filter: (from) => !/[\\/](?:out|workers)$/.test(from) });
  return out(name);
}

/** Starts a command and sends it a signal once so many results are there. */
async function killAt(name: string, wanted: number, signal: NodeJS.Signals, args: readonly string[]) {
  const child = spawn(process.execPath, ['dist/score.js', ...args]);
  let stderr = '';
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise<number | null>((done) => child.on('close', done));
  for (let waited = 0; results(name).length < wanted && waited < 60_000; waited += 2) await sleep(2);
  child.kill(signal);
  return { status: await ended, stderr };
}

beforeAll(async () => {
  await drawImages(images, count - 2);
  writeFileSync(join(images, 'torn.png'), readFileSync(join(images, '000.png')).subarray(0, 60));
  writeFileSync(join(images, '=none.png'), 'no image');
  await writeModel(model, weights);
  plain = score(images, '--model', model, '--csv', '-').stdout;
  expect(plain.split('\n')).toHaveLength(count + 2);
});

it('a run merges to the bytes of one process, and does nothing when called again', async () => {
  expect(score(...start('whole')).status).toBe(0);
  expect(results('whole')).toHaveLength(8);
  expect(await merged(out('whole'))).toBe(plain);
  expect(score(...start('whole')).stderr).toMatch(/0 of 8 shards to do/);
  expect(readdirSync(join(out('whole'), 'tmp'))).toEqual([]);
  const columns = [
    { name: 'path', type: 'string' },
    { name: 'error', type: 'string' },
  ] as const;
  const errors = await tables.parquet.decode(columns, readFileSync(join(out('whole'), 'errors.parquet')), '');
  expect(errors.map(([path]) => path)).toEqual([join(images, '=none.png'), join(images, 'torn.png')]);
  const status = runBuilt('status', [out('whole'), '--json']);
  expect(status.status).toBe(0);
  const found = JSON.parse(status.stdout);
  expect(found).toMatchObject({ shards: { done: 8, of: 8 }, errors: 2, spent: { shards: 8 } });
  for (const name of ['read', 'decode', 'computed', 'published'])
    expect(found.spent[name], name).toBeGreaterThan(0);
  const page = join(folder, 'status.html');
  expect(runBuilt('status', [out('whole'), '--html', page]).status).toBe(0);
  expect(readFileSync(page, 'utf8')).toContain('decoding and resizing, all threads');
  expect(runBuilt('status', [out('whole')]).stdout).toMatch(
    /^a shard +reading \d.* s and decoding \d.* s \(all threads\), GPU \d.* s, writing \d.* s; the GPU waits for images \d+ % of the time$/m,
  );
});

it.each([
  ['SLURM_ARRAY_TASK_ID', 'SLURM_ARRAY_TASK_COUNT'],
  ['JOB_COMPLETION_INDEX', 'JOB_COMPLETIONS'],
])('parts of %s make the whole', async (index, total) => {
  const run = copyOfPlan(index);
  for (const i of [2, 0, 1]) {
    const part = parsePart('auto', { [index]: `${i}`, [total]: '3' });
    const { shards } = await work(run, { part });
    expect(shards).toEqual([0, 1, 2, 3, 4, 5, 6, 7].filter((shard) => shard % 3 === i));
  }
  expect(await merged(run)).toBe(plain);
  expect((await work(run)).shards).toEqual([]);
});

it('two processes on one run, each from the beginning, agree', async () => {
  const run = copyOfPlan('both');
  const begin = () =>
    new Promise((done) => spawn(process.execPath, ['dist/score.js', '--out', run]).on('close', done));
  expect(await Promise.all([begin(), begin()])).toEqual([0, 0]);
  expect(await merged(run)).toBe(plain);
});

describe('ended', () => {
  it('by kill -9 and started again it comes to the same bytes', async () => {
    for (const wanted of [1, 5])
      expect((await killAt('kill', wanted, 'SIGKILL', start('kill'))).status).toBe(null);
    writeFileSync(join(out('kill'), 'tmp', '.clip-agiqa-torn.tmp'), 'path,sco');
    await work(out('kill'));
    expect(await merged(out('kill'))).toBe(plain);
  });

  it('by SIGTERM it says 75 as long as shards remain', async () => {
    const { status, stderr } = await killAt('term', 1, 'SIGTERM', start('term'));
    expect(status).toBe(75);
    expect(stderr).toMatch(/stopped {4}after \d+ of 8 shards; run the same command again/);
    expect(runBuilt('status', [out('term')]).status).toBe(75);
    await expect(merged(out('term'))).rejects.toThrow(/of 8 shards of .* are not there yet/);
    await work(out('term'));
    expect(await merged(out('term'))).toBe(plain);
  });
});

describe('refused', () => {
  it('another setting, another model, and a shard that is not whole', async () => {
    const run = copyOfPlan('refuse');
    expect(score('--out', run, '--batch', '2').stderr).toMatch(/was planned with batch not given, not 2/);
    const other = await writeModel(join(folder, 'other.safetensors'), weights, (head) => {
      head.get('head.4.bias')!.data[0]! += 1;
    });
    // The same images in another folder of this machine are found by --root.
    cpSync(images, join(folder, 'moved'), { recursive: true });
    const part = ['--out', run, '--root', join(folder, 'moved'), '--shard', '1/4'];
    expect(score(...part)).toMatchObject({ status: 0 });
    expect(score('--out', run, '--model', other).stderr).toMatch(/the plan's model is [0-9a-f]+, here it is/);
    await work(run);
    const shard = join(run, 'out/000/scores-000002.csv');
    writeFileSync(shard, 'path,score,error\n');
    await expect(merged(run)).rejects.toThrow(/scores-000002.csv: holds 0 rows of 4/);
    rmSync(shard);
    await work(run);
    expect(await merged(run)).toBe(plain);
  });

  it('a result that is not what another computed: it is an alarm, and the first stays', async () => {
    const run = copyOfPlan('conflict');
    // As if it came while the shard was at work.
    const intrude = async () => {
      mkdirSync(join(run, 'out/000'), { recursive: true });
      writeFileSync(join(run, 'out/000/scores-000000.csv'), 'theirs');
      return new Map();
    };
    await expect(work(run, { probe: intrude })).rejects.toThrow(PublishConflict);
    expect(readFileSync(join(run, 'out/000/scores-000000.csv'), 'utf8')).toBe('theirs');
  });

  it('more unreadable images than --max-errors', async () => {
    const run = copyOfPlan('errors');
    await expect(work(run, { maxErrors: 1 })).rejects.toThrow(/2 images of .* could not be read, more than/);
    await work(run);
    const lines = (await merged(run, { errors: true })).split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('path,error');
  });

  it('options that need --out, or that it does not go with', () => {
    expect(score(images, '--shard', '0/2').stderr).toMatch(/--shard is for a plan of shards/);
    expect(score(images, '--out', out('csv'), '--csv', '-').stderr).toMatch(/--csv and --out are two ways/);
    expect(score('--out', out('none')).stderr).toMatch(/holds no plan yet/);
  });
});

it('a list carries its columns, in every form of table', async () => {
  mkdirSync(out('lists'));
  const list = join(out('lists'), 'list.csv');
  writeFileSync(list, 'image,generator,seed\n000.png,SDXL,7\n../secret.png,DALL-E,8\n001.png,"a,b",9\n');
  copyFileSync(join(images, '000.png'), join(folder, 'secret.png'));
  const tables: string[] = [];
  for (const format of ['csv', 'jsonl', 'parquet']) {
    const run = join(out('lists'), format);
    const args = ['--list', list, '--root', images, '--model', model, '--out', run, '--format', format];
    expect(score(...args, '--plan-only').status).toBe(0);
    await work(run);
    tables.push(await merged(run));
  }
  const [first, second] = plain
    .split('\n')
    .filter((line) => /\/00[01]\.png,/.test(line))
    .map((line) => line.split(',')[1]);
  const refused = '../secret.png: leads out of the folder of images';
  expect(tables[0]).toBe(
    `path,score,generator,seed,error\n000.png,${first},SDXL,7,\n../secret.png,,DALL-E,8,${refused}\n001.png,${second},"a,b",9,\n`,
  );
  expect(tables.slice(1)).toEqual([tables[0], tables[0]]);
});
