import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ownIdentity } from '../src/common/process-identity.ts';
import { commandOf, header, resumeCommand } from '../src/training/run-command.ts';
import { RunFolder, type RunStart } from '../src/training/run-folder.ts';
import { lockRun, RunInUse } from '../src/training/run-lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-folder-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (...names: string[]) => {
  for (const name of names) writeFileSync(join(folder, name), name);
};
const claim = (start: RunStart, path = folder) => RunFolder.claim(path, 'train', start);
const begun = async (start: RunStart) => {
  const run = await claim(start);
  await run.begin({ epochs: 3 }, 'everything');
  run.release();
};

describe("a run's folder", () => {
  it('is made, and goes again if nothing came of it', async () => {
    const path = join(folder, 'a', 'b');
    (await claim('new', path)).release();
    expect(existsSync(path)).toBe(false);
    const run = await claim('new', path);
    await run.begin({ epochs: 3 }, 'everything');
    run.release();
    expect(readdirSync(path)).toEqual(['config.yaml']);
  });

  it.each([['checkpoint.safetensors'], ['model.safetensors'], ['predictions.csv'], ['config.yaml']])(
    'with a %s in it is refused, and left as it is',
    async (name) => {
      write(name);
      const failure = await claim('new').catch((error) => error);
      expect(failure.message).toContain(folder);
      expect(failure.advice).toMatch(/--overwrite/);
      expect(readdirSync(folder)).toEqual([name]);
      expect(readFileSync(join(folder, name), 'utf8')).toBe(name);
    },
  );

  it('names the way to go on with the run in it', async () => {
    await begun('new');
    write('checkpoint.safetensors');
    await expect(claim('new')).rejects.toMatchObject({
      message: `${folder} already holds a run, which has not finished`,
      advice: expect.stringContaining(`node dist/train.js --resume ${folder};`),
    });
    expect(resumeCommand("my runs/it's one", 'pretrain')).toBe(
      "node dist/pretrain.js --resume 'my runs/it'\\''s one'",
    );
  });

  it('may be used again where a run ended before its first checkpoint', async () => {
    await begun('new');
    write('split.csv');
    await begun('new');
    expect(readdirSync(folder)).toEqual(['config.yaml']);
  });

  it('loses, when overwritten, what a run makes and nothing else', async () => {
    const made = ['checkpoint.safetensors', 'best.safetensors', 'model.safetensors', 'summary.json'];
    write(...made, 'metrics.jsonl', 'predictions.csv', 'report.html', 'split.csv', 'thesis.txt');
    write('events.out.tfevents.1.host.2', 'model.safetensors.bak');
    mkdirSync(join(folder, 'images'));
    await begun('overwrite');
    expect(readdirSync(folder).sort()).toEqual([
      'config.yaml',
      'images',
      'model.safetensors.bak',
      'thesis.txt',
    ]);
  });

  it('has nothing to resume where no run has begun', async () => {
    await expect(claim('resume')).rejects.toThrow(/there is nothing to resume/);
    write('config.yaml');
    await expect(claim('resume')).rejects.toThrow(/there is nothing to resume/);
  });

  it('is no run by a config.yaml that no run wrote, a pipe that nobody writes to among them', async () => {
    const config = join(folder, 'config.yaml');
    execFileSync('mkfifo', [config]);
    expect(commandOf(folder)).toBeUndefined();
    await expect(claim('new')).rejects.toThrow(/holds files that a run would replace|already holds a run/);
    rmSync(config);
    writeFileSync(config, `${header('train')}\n${'#'.repeat(1e6)}`);
    expect(commandOf(folder)).toBeUndefined();
  });

  it('is refused where a run would write through a link', async () => {
    const elsewhere = join(folder, 'thesis.txt');
    write('thesis.txt');
    mkdirSync(join(folder, 'run'));
    symlinkSync(elsewhere, join(folder, 'run', 'metrics.jsonl'));
    for (const start of ['new', 'resume', 'overwrite'] as const)
      await expect(claim(start, join(folder, 'run'))).rejects.toThrow(/metrics\.jsonl is a symbolic link/);
  });

  it('that cannot be written is one line', async () => {
    write('file');
    await expect(claim('new', join(folder, 'file', 'run'))).rejects.toThrow(/file is a file/);
    await expect(claim('new', join(folder, 'file'))).rejects.toThrow(/file/);
  });
});

describe('the lock of a run', () => {
  const nameOf = (identity: { machine: string; boot: string; pid: number; started: number }) =>
    `run.lock-${identity.machine}-${identity.boot}-${identity.pid}-${identity.started}`;

  it('is held by one run of this process at a time', async () => {
    const lock = await lockRun(folder);
    await expect(lockRun(folder)).rejects.toThrow(/in use by a run/);
    lock.release();
    (await lockRun(folder)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is refused while another process holds it, and left to it', async () => {
    const child = spawn('sleep', ['60']);
    try {
      const name = nameOf({ ...ownIdentity(), pid: child.pid!, started: 0 });
      write(name);
      await expect(lockRun(folder)).rejects.toThrow(new RegExp(`in use by a run \\(process ${child.pid}\\)`));
      expect(readdirSync(folder)).toEqual([name]);
    } finally {
      child.kill();
    }
  });

  it('is not held by a process that has gone', async () => {
    const gone = spawnSync('true').pid;
    write(nameOf({ ...ownIdentity(), pid: gone, started: 5 }));
    write(nameOf({ ...ownIdentity(), boot: '00000000', pid: process.pid }));
    const lock = await lockRun(folder);
    expect(readdirSync(folder)).toEqual([nameOf(ownIdentity())]);
    lock.release();
  });

  it('may be held by a process of another machine: the message says what to remove', async () => {
    const name = nameOf({ ...ownIdentity(), machine: '00000000' });
    write(name);
    await expect(lockRun(folder)).rejects.toMatchObject({
      message: expect.stringMatching(/on another machine or in another container/),
      advice: expect.stringContaining(`remove ${join(folder, name)}`),
    });
    expect(readdirSync(folder)).toEqual([name]);
    (await lockRun(folder, { takeOver: true })).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is taken over from another machine that has not written to it for ten minutes', async () => {
    const other = join(folder, nameOf({ ...ownIdentity(), machine: '00000000' }));
    const agedMinutes = (minutes: number) => {
      writeFileSync(other, '');
      const then = Date.now() / 1000 - minutes * 60;
      utimesSync(other, then, then);
    };
    agedMinutes(9);
    await expect(lockRun(folder)).rejects.toThrow(RunInUse);
    agedMinutes(11);
    const lock = await lockRun(folder);
    expect(existsSync(other)).toBe(false);
    lock.requireHeld();
    // As that machine would take it over in turn.
    rmSync(join(folder, nameOf(ownIdentity())));
    expect(() => lock.requireHeld()).toThrow(/another machine has taken this run over/);
    lock.release();
  });

  it('is written to every minute as long as it is held', async () => {
    vi.useFakeTimers();
    try {
      const lock = await lockRun(folder);
      const own = join(folder, nameOf(ownIdentity()));
      utimesSync(own, 1, 1);
      vi.advanceTimersByTime(59_000);
      expect(statSync(own).mtimeMs).toBe(1000);
      vi.advanceTimersByTime(2_000);
      expect(Date.now() - statSync(own).mtimeMs).toBeLessThan(120_000);
      lock.release();
      vi.advanceTimersByTime(120_000);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is held by at most one of several processes, whatever a dead one left', async () => {
    const program = join(folder, 'program.mjs');
    const source = join(folder, 'program.ts');
    writeFileSync(
      source,
      `import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
       import { setTimeout as sleep } from 'node:timers/promises';
       import { lockRun } from ${JSON.stringify(resolve('src/training/run-lock.ts'))};
       const [folder, dead] = process.argv.slice(2);
       let held = 0;
       for (let i = 0; i < 12; i++) {
         const lock = await lockRun(folder).catch((error) => {
           if (!/in use by/.test(error.message)) throw error;
         });
         if (!lock) continue;
         closeSync(openSync(folder + '/critical', 'wx')); // throws if another is here
         held++;
         await sleep(5);
         unlinkSync(folder + '/critical');
         lock.release();
         writeFileSync(folder + '/' + dead + i, '');
       }
       console.log(held);`,
    );
    await build({
      entryPoints: [source],
      outfile: program,
      bundle: true,
      format: 'esm',
      platform: 'node',
    });
    const contested = join(folder, 'contested');
    mkdirSync(contested);
    const dead = nameOf({ ...ownIdentity(), pid: spawnSync('true').pid, started: 0 });
    const results = await Promise.all(
      Array.from({ length: 4 }, () => {
        const child = spawn(process.execPath, [program, contested, dead]);
        let text = '';
        child.stdout.on('data', (data) => (text += data));
        child.stderr.on('data', (data) => (text += data));
        return new Promise<string>((done) => child.on('close', () => done(text.trim())));
      }),
    );
    for (const text of results) expect(text).toMatch(/^\d+$/);
    expect(results.reduce((sum, text) => sum + Number(text), 0)).toBeGreaterThan(4);
    expect(readdirSync(contested).filter((name) => !name.startsWith(dead))).toEqual([]);
  });
});
