import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  addFieldOptions,
  addSettingOptions,
  fieldValuesFrom,
  settingsFrom,
} from '../src/cli/settings-options.ts';
import { pretrainingFields } from '../src/pretraining/settings.ts';
import { fields } from '../src/training/settings.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder('settings-options');

describe('what is wrong with a setting', () => {
  it.each([
    [{ batchSize: '0' }, '--batch-size must be a number of at least 1, not "0"'],
    [{ nCtx: '1.5' }, '--n-ctx must be an integer, not "1.5"'],
    [{ classSpecific: 'maybe' }, '--class-specific must be true or false, not "maybe"'],
    [{ csc: 'maybe' }, '--csc must be true or false, not "maybe"'],
    [{ ctp: 'back' }, '--ctp must be one of end, middle, front, not "back"'],
    [{ position: 'back' }, '--position must be one of end, middle, front, not "back"'],
  ])('names the option as it was typed: %j', (options, message) => {
    expect(() => settingsFrom(options)).toThrow(message);
  });

  it('does so for every table of settings', () => {
    expect(() => fieldValuesFrom(pretrainingFields, { patchSize: 'x' })).toThrow(
      '--patch-size must be a number of at least 0, not "x"',
    );
  });

  it('names the file and the setting as it stands there', () => {
    const config = join(folder, 'wrong.yaml');
    writeFileSync(config, 'batchSize: 0\n');
    expect(() => settingsFrom({ config })).toThrow(
      `${config}: batchSize must be a number of at least 1, not 0`,
    );
  });
});

it.each([
  ['training', addSettingOptions(new Command()), fields],
  ['pre-training', addFieldOptions(new Command(), pretrainingFields), pretrainingFields],
])('the help of %s names settings as they are typed', (_, command, table) => {
  const help = command.helpInformation();
  for (const name of Object.keys(table).filter((name) => /[A-Z]/.test(name)))
    expect(help).not.toMatch(new RegExp(`\\b${name}\\b`));
});
