import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';
import { trainTinyRun } from './trained-run.ts';

const folder = temporaryFolder('interrupt');
const images = join(folder, 'images');
const many = join(folder, 'many');
const model = join(folder, 'run');
const count = 600;

beforeAll(async () => {
  await trainTinyRun(images, model);
  const image = readdirSync(images).find((name) => name.endsWith('.png'))!;
  mkdirSync(many);
  for (let i = 0; i < count; i++) copyFileSync(join(images, image), join(many, `${1000 + i}.png`));
});

/** Scores the folder, sends the signal once `begun` says so, and gives the exit status and what was printed. */
async function interrupt(
  args: string[],
  begun: (stdout: string) => boolean,
  signal: 'SIGINT' | 'SIGTERM' = 'SIGINT',
) {
  const child = spawn(process.execPath, ['dist/score.js', many, '--model', model, ...args]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise<number | null>((done) => child.on('close', done));
  for (let waited = 0; !begun(stdout) && waited < 60_000; waited += 5) await sleep(5);
  child.kill(signal);
  return { status: await ended, stdout, stderr };
}

const temporary = () => readdirSync(folder).find((name) => name.startsWith('.clip-agiqa-'));

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s leaves a whole CSV that says what was not scored, and status %i', async (signal, code) => {
  const csv = join(folder, `${signal}.csv`);
  const begun = () => {
    try {
      return readFileSync(join(folder, temporary()!), 'utf8').split('\n').length > 10;
    } catch {
      return false; // not there yet, or the one by which the place was checked
    }
  };
  const { status, stderr } = await interrupt(['--csv', csv], begun, signal);
  expect(status).toBe(code);
  const [header, ...rows] = readFileSync(csv, 'utf8').trim().split('\n');
  expect(header).toBe('path,score,error');
  expect(rows).toHaveLength(count);
  const scored = rows.findIndex((row) => row.endsWith(',,not scored: the command was stopped first'));
  expect(scored).toBeGreaterThanOrEqual(8);
  for (const [i, row] of rows.entries())
    expect(row).toMatch(
      new RegExp(
        `${1000 + i}\\.png,${i < scored ? '-?[\\d.e-]+,$' : ',not scored: the command was stopped first$'}`,
      ),
    );
  expect(stderr.trim().split('\n').at(-1)).toBe(
    `stopped    ${scored} of ${count} images scored, written to ${csv}; run the same command again for the rest`,
  );
  expect(temporary()).toBeUndefined();
});

it('Ctrl-C leaves whole lines of JSON', async () => {
  const { status, stdout, stderr } = await interrupt(['--json'], (text) => text.split('\n').length > 8);
  expect(status).toBe(130);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rows.length).toBeGreaterThanOrEqual(8);
  expect(rows.length).toBeLessThan(count);
  for (const { score } of rows) expect(score).toEqual(expect.any(Number));
  expect(stderr).toContain(`stopped    ${rows.length} of ${count} images scored;`);
});
