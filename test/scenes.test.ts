import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guardDisk } from '../src/common/disk.ts';
import { ownIdentity } from '../src/common/process-identity.ts';
import { silent } from '../src/common/reporter.ts';
import { openDataset } from '../src/data/datasets/index.ts';
import { makeScenes } from '../src/data/datasets/scenes/make.ts';

const few = { scenes: 5, versions: 2, size: 16, seed: 3 };
const drawing = { reporter: silent };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scenes-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const csvOf = (root: string) => readFileSync(join(root, 'data.csv'), 'utf8').trim().split('\n');

describe('scenes are drawn', () => {
  it('into a folder that is absent or empty, and leave nothing else behind', async () => {
    const [absent, empty] = [join(folder, 'a', 'absent'), join(folder, 'empty')];
    mkdirSync(empty);
    for (const root of [absent, empty]) {
      await makeScenes(root, few);
      expect(csvOf(root)).toHaveLength(1 + 10);
      expect(readdirSync(root)).toHaveLength(1 + 10);
    }
    expect(readdirSync(folder).sort()).toEqual(['a', 'empty']);
    expect(readdirSync(join(folder, 'a'))).toEqual(['absent']);
  });

  it('into the empty folder a link leads to', async () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    await makeScenes(join(folder, 'link'), few);
    expect(csvOf(join(folder, 'real'))).toHaveLength(11);
  });

  it('never into a folder with anything in it, which stays as it was', async () => {
    const root = join(folder, 'mine');
    mkdirSync(join(root, 'images'), { recursive: true });
    writeFileSync(join(root, 'thesis.txt'), 'years of work');
    await expect(makeScenes(root, few)).rejects.toThrow(/mine is not empty, so/);
    await expect(openDataset({ name: 'scenes', root, draw: drawing })).rejects.toMatchObject({
      message: expect.stringMatching(/mine holds files, but no generated scenes/),
      advice: expect.stringMatching(/--data agiqa-3k/),
    });
    expect(readdirSync(root).sort()).toEqual(['images', 'thesis.txt']);
    expect(readdirSync(folder)).toEqual(['mine']);
  });

  it('not where files arrive while they are drawn: those stay', async () => {
    const root = join(folder, 'mine');
    mkdirSync(root);
    const release = guardDisk(({ kind }) => {
      if (kind === 'rename') writeFileSync(join(root, 'thesis.txt'), 'years of work');
    });
    await expect(makeScenes(root, few).finally(release)).rejects.toThrow(/mine is no longer empty/);
    expect(readdirSync(root)).toEqual(['thesis.txt']);
    expect(readdirSync(folder)).toEqual(['mine']);
  });

  it('by two at once: both go on, with the scenes of the first to finish', async () => {
    const root = join(folder, 'shared');
    await Promise.all([makeScenes(root, few), makeScenes(root, few)]);
    expect(csvOf(root)).toHaveLength(11);
    expect(readdirSync(folder)).toEqual(['shared']);
  });

  it('until they are stopped, and then leave nothing', async () => {
    const stop = new AbortController();
    const bar = () => ({ advance: () => stop.abort(), stop: () => {} });
    const reporter = { ...silent, bar };
    const root = join(folder, 'stopped');
    await expect(makeScenes(root, few, { reporter, signal: stop.signal })).rejects.toThrow(/abort/);
    expect(readdirSync(folder)).toEqual([]);
  });
});

it('what dead processes left unfinished is cleared away, but for files that were not drawn', async () => {
  const { machine, boot } = ownIdentity();
  const dead = spawnSync('true').pid;
  const left = (process: number, count: number) =>
    join(folder, `.clip-agiqa-${machine}-${boot}-${process}-1-${count}.tmp`);
  const [own, drawn, strange] = [left(process.pid, 900), left(dead, 0), left(dead, 1)];
  for (const path of [own, drawn, strange]) {
    mkdirSync(path);
    writeFileSync(join(path, 'city_001_0_clean.png'), '');
    writeFileSync(join(path, 'data.csv'), '');
  }
  writeFileSync(join(strange, 'thesis.txt'), 'years of work');
  // The start of this process is not 1: the number is used again, so that one has gone too.
  await makeScenes(join(folder, 'scenes'), few);
  expect(existsSync(drawn)).toBe(false);
  expect(existsSync(own)).toBe(process.platform !== 'linux');
  expect(readdirSync(strange)).toEqual(['thesis.txt']);
});

describe('a dataset of scenes', () => {
  it('is only read where it may not be drawn', async () => {
    const root = join(folder, 'none');
    await expect(openDataset({ name: 'scenes', root })).rejects.toThrow(/none: no scenes found/);
    expect(existsSync(root)).toBe(false);
    await makeScenes(root, few);
    expect((await openDataset({ name: 'scenes', root })).samples).toHaveLength(10);
  });

  it('is not taken for another one that has a data.csv', async () => {
    const root = 'test/fixtures/datasets/agiqa-3k';
    await expect(openDataset({ name: 'scenes', root, draw: drawing })).rejects.toMatchObject({
      message: expect.stringMatching(/data\.csv does not describe generated scenes/),
      advice: expect.stringMatching(/--data agiqa-3k/),
    });
  });

  it('is drawn among the temporary files, and found there, where the cache cannot be written', async () => {
    const before = { ...process.env };
    const [cache, temporary] = [join(folder, 'cache'), join(folder, 'tmp')];
    mkdirSync(temporary);
    writeFileSync(cache, ''); // a file: nothing can be made below it, not even by root
    Object.assign(process.env, { XDG_CACHE_HOME: cache, TMPDIR: temporary });
    try {
      const lines: string[] = [];
      const reporter = { ...silent, line: (text: string) => void lines.push(text) };
      const stop = new AbortController();
      // 1,200 scenes take a while: one drawn shows where.
      const bar = () => ({ advance: () => stop.abort(), stop: () => {} });
      const draw = { reporter: { ...reporter, bar }, signal: stop.signal };
      await expect(openDataset({ name: 'scenes', draw })).rejects.toThrow(/abort/);
      expect(lines).toEqual([
        expect.stringMatching(/^scenes {5}.*ENOTDIR.*; generated in .*tmp.*scenes-2 instead$/),
      ]);
      const place = join(temporary, `clip-agiqa-webgpu-${process.getuid!()}`, 'scenes-2');
      await makeScenes(place, few);
      expect((await openDataset({ name: 'scenes' })).samples).toHaveLength(10);
    } finally {
      for (const name of ['XDG_CACHE_HOME', 'TMPDIR'])
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
    }
  });
});
