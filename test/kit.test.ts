import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { figuresOf } from '../bench/kit/figures.ts';
import { runStage } from '../bench/kit/run-stage.ts';
import { kitStages } from '../bench/kit/stages.ts';
import { performancePage } from '../bench/page.ts';
import { readResults } from '../bench/results.ts';
import { tunerSection } from '../bench/tuner.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('kit');

describe('a stage of the GPU kit', () => {
  const run = (code: string, options: Partial<Parameters<typeof runStage>[1]> = {}) => {
    const script = join(folder, 'script.mjs');
    writeFileSync(script, code);
    return runStage([script], { cwd: folder, env: process.env, seconds: 30, ...options });
  };

  it('keeps what it prints, and how it ended', async () => {
    const lines: string[] = [];
    const good = await run("console.log('out'); console.error('err')", {
      onLine: (line) => void lines.push(line),
    });
    expect(good).toMatchObject({ outcome: 'done', stdout: 'out\n' });
    expect([lines.sort(), good.log.split('\n').sort()]).toEqual([
      ['err', 'out'],
      ['', 'err', 'out'],
    ]);
    expect((await run('process.exit(3)')).outcome).toBe('failed');
  });

  it('is cut when its time is over, also where it does not listen', async () => {
    const deaf = "process.on('SIGTERM', () => {}); console.log('at work'); setInterval(() => {}, 1000)";
    const cut = await run(deaf, { seconds: 1, grace: 200 });
    expect(cut).toMatchObject({ outcome: 'cut', stdout: 'at work\n' });
    expect(cut.seconds).toBeLessThan(20);
  });

  it('stops with the kit', async () => {
    const stop = new AbortController();
    const waiting = run("console.log('at work'); setInterval(() => {}, 1000)", {
      signal: stop.signal,
      onLine: () => stop.abort(),
    });
    expect((await waiting).outcome).toBe('stopped');
    expect((await run('', { signal: stop.signal })).outcome).toBe('stopped');
  });
});

it('the stages fit into eight minutes, and measure within their time', () => {
  for (const quick of [false, true]) {
    const stages = kitStages({ root: '.', quick });
    expect(stages.map(({ name }) => name)).toEqual(
      'self-check parity tuner kernels train encode step'.split(' '),
    );
    expect(stages.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(480);
    const kernels = stages.find(({ name }) => name === 'kernels')!.command(100);
    expect(kernels.join(' ')).toBe(`bench.js kernels --out results --seconds 85${quick ? ' --quick' : ''}`);
  }
  // Without reference values the rest still runs.
  expect(kitStages({ root: folder, quick: true }).map(({ name }) => name)).not.toContain('parity');
});

it('what a stage found is said in a line, and its results make a page', async () => {
  const kit = join(folder, 'found');
  mkdirSync(join(kit, 'results'), { recursive: true });
  const put = (name: string, value: unknown) => writeFileSync(join(kit, name), JSON.stringify(value));
  put('adapter.json', { findings: [{}, {}], failed: 1 });
  put('parity.json', { results: [{ ok: true }, { missing: true }, { ok: false }], failed: 1 });
  const shape = { shape: 'matmul a', variant: 'tile', rule: 'few', times: { tile: 1, few: 2 } };
  const results = {
    measures: true,
    seconds: 2,
    pending: 1,
    shapes: [shape, { ...shape, rule: 'tile', leftOut: { naive: 'is wrong' } }],
  };
  const measured = {
    measuredAt: '2026-01-01T00:00:00Z',
    seconds: 2,
    node: 'v20',
    cores: 8,
    load: [0, 0],
    results,
  };
  const adapter = { name: 'A GPU', driver: 'driver', vendor: 'v', architecture: 'a', software: false };
  put('results/a-gpu.json', { adapter, sections: { tuner: { ...measured, quick: true } } });
  expect(
    await Promise.all(['self-check', 'parity', 'tuner', 'train'].map((one) => figuresOf(one, kit))),
  ).toEqual([
    '2 checks, 1 failed',
    '2 values, 1 failed',
    '2 shapes, 1 with another variant than by rule, no time for 1 more',
    undefined,
  ]);
  const page = performancePage(await readResults(join(kit, 'results')), [tunerSection] as never);
  expect(page).toContain('## A GPU');
  expect(page).toContain('`node dist/bench.js tuner --quick`');
  expect(page).toContain('| matmul a | tile | 1 | few | 2× |');
  expect(page).toContain('- matmul a: naive is left out: is wrong');
  expect(page).toMatch(/share of variants that are right \| 0\.800 .*missed/);
});

it('the kit leaves a folder with what it has, and replaces nothing', () => {
  const out = join(folder, 'kit');
  const kit = () =>
    spawnSync(process.execPath, ['dist/kit.js', '--only', 'tuner', '--out', out], { encoding: 'utf8' });
  const first = kit();
  expect([first.status, first.stdout]).toEqual([0, expect.stringMatching(/tuner +done, .*a rule chooses/)]);
  const { stages, adapter } = JSON.parse(readFileSync(join(out, 'kit.json'), 'utf8'));
  expect(stages).toEqual([expect.objectContaining({ stage: 'tuner', outcome: 'done' })]);
  expect(adapter.name).not.toBe('');
  expect(readdirSync(out).sort()).toEqual(['cache', 'kit.json', 'logs', 'results']);
  const again = kit();
  expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/kit is not empty/)]);
});
