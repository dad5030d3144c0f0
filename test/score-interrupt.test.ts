import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trainTinyRun } from './trained-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'interrupt-'));
const pictures = join(folder, 'pictures');
const many = join(folder, 'many');
const model = join(folder, 'run');
const count = 600;

beforeAll(async () => {
  await trainTinyRun(pictures, model);
  const picture = readdirSync(pictures).find((name) => name.endsWith('.png'))!;
  mkdirSync(many);
  for (let i = 0; i < count; i++) copyFileSync(join(pictures, picture), join(many, `${1000 + i}.png`));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Scores the folder, sends Ctrl-C once `begun` says so, and gives the exit status and what was printed. */
async function interrupt(args: string[], begun: (stdout: string) => boolean) {
  const child = spawn(process.execPath, ['dist/score.js', many, '--model', model, ...args]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise<number | null>((done) => child.on('close', done));
  for (let waited = 0; !begun(stdout) && waited < 60_000; waited += 5) await sleep(5);
  child.kill('SIGINT');
  return { status: await ended, stdout, stderr };
}

it('Ctrl-C leaves the rows scored so far in the CSV, and status 130', async () => {
  const csv = join(folder, 'scores.csv');
  const part = `${csv}.part`;
  const rowsOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []);
  const { status, stderr } = await interrupt(['--csv', csv], () => rowsOf(part).length > 8);
  expect(status).toBe(130);
  expect(stderr).toMatch(/stopped +the scores so far are written/);
  const [header, ...rows] = rowsOf(csv);
  expect(header).toBe('path,score,error');
  expect(rows.length).toBeGreaterThanOrEqual(8);
  expect(rows.length).toBeLessThan(count);
  for (const [i, row] of rows.entries()) expect(row).toMatch(new RegExp(`${1000 + i}\\.png,-?[\\d.e-]+,$`));
  expect(existsSync(part)).toBe(false);
});

it('Ctrl-C leaves whole lines of JSON', async () => {
  const { status, stdout } = await interrupt(['--json'], (text) => text.split('\n').length > 8);
  expect(status).toBe(130);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rows.length).toBeGreaterThanOrEqual(8);
  expect(rows.length).toBeLessThan(count);
  for (const { score } of rows) expect(score).toEqual(expect.any(Number));
});
