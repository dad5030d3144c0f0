import { existsSync, readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { UserError } from '../common/errors.ts';
import {
  applySettings,
  defaultSettings,
  fields,
  type SettingName,
  type Settings,
  settingNames,
} from '../training/settings.ts';

/** Options that users of the published code know by another name. */
const aliases: Partial<Record<SettingName, string>> = { position: 'ctp', classSpecific: 'csc' };

const flag = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Adds an option for every setting (`nCtx` → `--n-ctx`), and --config. */
export function addSettingOptions(command: Command, names: readonly SettingName[] = settingNames): Command {
  command.option('--config <file>', 'settings to start from: a YAML file, or the name of one in configs/');
  for (const name of names) {
    const { value, help } = fields[name];
    const shown = value === '' ? help : `${help} (default: ${value})`;
    command.addOption(new Option(`${flag(name)} <value>`, shown));
    const alias = aliases[name];
    if (alias) command.addOption(new Option(`--${alias} <value>`, `same as ${flag(name)}`));
  }
  return command;
}

/** The base (the defaults, or a trained model's settings), then the configuration file, then the command line. */
export function settingsFrom(options: Readonly<Record<string, unknown>>, base = defaultSettings()): Settings {
  let settings = base;
  const { config } = options;
  if (typeof config === 'string') settings = applySettings(settings, readConfig(config), config);
  const given = Object.fromEntries(
    settingNames.map((name) => [name, options[name] ?? options[aliases[name] ?? name]]),
  );
  return applySettings(settings, given, 'command line');
}

function readConfig(name: string): Record<string, unknown> {
  const preset = new URL(`../configs/${name}.yaml`, import.meta.url);
  const path = existsSync(name) || !existsSync(preset) ? name : preset;
  let parsed: unknown;
  try {
    parsed = parseYaml(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(
      `${name}: ${(error as Error).message.split('\n')[0]}`,
      'Give a YAML file, or the name of a file in configs/ without its ending.',
    );
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
    throw new UserError(`${name} holds no settings`, 'Write one `name: value` a line.');
  return parsed as Record<string, unknown>;
}
