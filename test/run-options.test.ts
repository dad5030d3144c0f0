import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunFlags } from '../src/cli/run-options.ts';
import { silent } from '../src/common/reporter.ts';
import { RunFolder } from '../src/training/run-folder.ts';
import { runSettings } from '../src/training/run-settings.ts';
import { applySettings, defaultSettings, type Settings } from '../src/training/settings.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('run-options');

/** A run that has begun with these settings. */
async function begun(path: string, command: 'train' | 'pretrain', settings: object): Promise<string> {
  const run = await RunFolder.claim(join(folder, path), command, 'new');
  await run.begin({ ...settings }, 'everything');
  run.release();
  return run.path;
}

const settingsOf = (flags: RunFlags, given: Partial<Settings> = {}, seeds?: number[], reporter = silent) =>
  runSettings<Settings>(
    flags,
    {
      command: 'train',
      seeds,
      merge: (base = defaultSettings()) => applySettings(base, given, 'command line'),
      parse: (saved, where) => applySettings(defaultSettings(), saved, where),
      folder: ({ out }) => out,
    },
    reporter,
  );

describe('the settings that a command resumes with', () => {
  it("are the run's own, with the command line on top, in the folder that was named", async () => {
    const path = await begun('run', 'train', { epochs: 7, lr: 0.5, data: 'csv', csv: 'scores.csv' });
    const { settings, resume } = await settingsOf({ resume: path }, { epochs: 9 });
    expect(resume).toBe(path);
    expect(settings).toMatchObject({ epochs: 9, lr: 0.5, data: 'csv', csv: 'scores.csv', out: path });
    expect((await settingsOf({ resume: true }, { out: path })).settings).toMatchObject({
      epochs: 7,
      out: path,
    });
    expect((await settingsOf({ resume: path }, { out: 'other' })).settings.out).toBe('other');
    expect(await settingsOf({}, { lr: 1 })).toMatchObject({
      resume: false,
      settings: { lr: 1, epochs: 100 },
    });
  });

  it('have a folder of their own seed each', async () => {
    await begun('seeds/seed2', 'train', { epochs: 7, seed: 2 });
    const parent = join(folder, 'seeds');
    const { settings } = await settingsOf({ resume: parent }, {}, [1, 2]);
    expect(settings).toMatchObject({ epochs: 7, out: parent });
    await expect(settingsOf({ resume: parent })).rejects.toMatchObject({
      message: expect.stringMatching(/holds the runs of several seeds: 2/),
      advice: expect.stringMatching(/--resume \S+ --seeds 2$/),
    });
  });

  it('have no cache made where a file names one, but use one that is there', async () => {
    const cache = join(folder, 'features');
    const path = await begun('cached', 'train', { cache });
    const lines: string[] = [];
    const reporter = { ...silent, line: (text: string) => void lines.push(text) };
    expect((await settingsOf({ resume: path }, {}, undefined, reporter)).settings.cache).toBe('');
    expect(lines).toEqual([expect.stringContaining(`${cache} no longer holds features`)]);
    expect((await settingsOf({ resume: path }, { cache })).settings.cache).toBe(cache);
    mkdirSync(cache);
    writeFileSync(join(cache, 'f32-8-1.features'), '');
    expect((await settingsOf({ resume: path })).settings.cache).toBe(cache);
    const without = await begun('uncached', 'train', { cache: 'none' });
    expect((await settingsOf({ resume: without })).settings.cache).toBe('none');
  });

  it('are refused where there is no run, one of another command, or a damaged one', async () => {
    await expect(settingsOf({ resume: join(folder, 'nowhere') })).rejects.toThrow(/nothing to resume/);
    const other = await begun('clip', 'pretrain', { epochs: 7 });
    await expect(settingsOf({ resume: other })).rejects.toMatchObject({
      message: `${other} holds a run of pretrain`,
      advice: `Resume it: node dist/pretrain.js --resume ${other}`,
    });
    const damaged = await begun('damaged', 'train', { epochs: 7 });
    writeFileSync(join(damaged, 'config.yaml'), '# Settings of a run of train, used by --resume.\n{');
    await expect(settingsOf({ resume: damaged })).rejects.toThrow(/config\.yaml: /);
  });
});
