import { existsSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { UserError } from '../common/errors.ts';
import { applyValues, defaultValues, type Fields, type FieldValues, optionFlag } from '../common/fields.ts';
import { readTextSync } from '../common/read-file.ts';
import {
  canonical,
  defaultSettings,
  fields,
  type SettingName,
  type Settings,
  settingNames,
} from '../training/settings.ts';

/** Options that users of the published code know by another name. */
const aliases: Partial<Record<SettingName, string>> = { position: 'ctp', classSpecific: 'csc' };

/**
 * Adds an option for every setting (`nCtx` → `--n-ctx`), and --config.
 *
 * @param defaults shown in help, or null where settings left out are a trained model's
 */
export function addSettingOptions(
  command: Command,
  names: readonly SettingName[] = settingNames,
  defaults: Settings | null = defaultSettings(),
): Command {
  addFieldOptions(command, Object.fromEntries(names.map((name) => [name, fields[name]])), defaults);
  for (const name of names) {
    const alias = aliases[name];
    if (alias) command.addOption(new Option(`--${alias} <value>`, `same as ${optionFlag(name)}`));
  }
  return command;
}

/** Adds an option for every field of a table, and --config. */
export function addFieldOptions<F extends Fields>(
  command: Command,
  table: F,
  defaults: Readonly<Partial<Record<keyof F, unknown>>> | null = defaultValues(table),
): Command {
  command.option('--config <file>', 'settings to start from: a YAML file, or the name of one in configs/');
  for (const [name, { help }] of Object.entries(table)) {
    const value = defaults?.[name] ?? '';
    const shown = value === '' ? help : `${help} (default: ${value})`;
    command.addOption(new Option(`${optionFlag(name)} <value>`, shown));
  }
  return command;
}

/** The base (the defaults, or a trained model's settings), then the configuration file, then the command line. */
export function settingsFrom(options: Readonly<Record<string, unknown>>, base = defaultSettings()): Settings {
  const used = (name: string) =>
    options[name] === undefined ? (aliases[name as SettingName] ?? name) : name;
  const given = settingNames.map((name) => [name, options[used(name)]]);
  const values = { ...Object.fromEntries(given), config: options.config };
  return canonical(fieldValuesFrom(fields, values, base, (name) => optionFlag(used(name))));
}

/** The base, then the configuration file, then the command line, for a table of fields; `typed`: an option as it was typed. */
export function fieldValuesFrom<F extends Fields>(
  table: F,
  options: Readonly<Record<string, unknown>>,
  base: FieldValues<F> = defaultValues(table),
  typed = optionFlag,
): FieldValues<F> {
  let values = base;
  const { config } = options;
  if (typeof config === 'string') values = applyValues(table, values, readConfig(config), config);
  const given = Object.fromEntries(Object.keys(table).map((name) => [name, options[name]]));
  return applyValues(table, values, given, 'command line', typed);
}

const presets = new URL('../configs/', import.meta.url);

function readConfig(name: string): Record<string, unknown> {
  const preset = fileURLToPath(new URL(`${name}.yaml`, presets));
  const path = existsSync(name) ? name : preset;
  if (!existsSync(path)) throw new UserError(`no configuration named ${name}`, presetsAdvice());
  const text = readTextSync(path, 'yamlBytes');
  let parsed: unknown;
  try {
    // Its warnings would go to the terminal, several lines each.
    parsed = parseYaml(text, { logLevel: 'error' });
  } catch (error) {
    throw new UserError(`${name}: ${(error as Error).message.split('\n')[0]}`, presetsAdvice());
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
    throw new UserError(`${name} holds no settings`, 'Write one `name: value` per line.');
  return parsed as Record<string, unknown>;
}

function presetsAdvice(): string {
  const names = readdirSync(presets).map((file) => basename(file, '.yaml'));
  return `Pass a YAML file or one of ${names.sort().join(', ')}.`;
}
