import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { optionFlag } from '../common/fields.ts';
import { checkpointSettings } from './checkpoint-file.ts';
import { commandOf, type RunCommand, resumeCommand } from './run-command.ts';
import { configSettings, nothingToResume } from './run-folder.ts';

/**
 * What a setting may become when a run goes on. Any other stays as it was, or it would be another run.
 * - `free`: where things lie, which changes nothing that is computed
 * - `rounding`: which kernels run, so that last bits may differ
 * - `upward`: the run grows longer
 */
type Change = 'free' | 'rounding' | 'upward';

/** The settings that may change when a run of training or of pre-training goes on: this list, and no other. */
const changes: Readonly<Record<string, Change>> = {
  out: 'free',
  // What they lead to is compared by its contents: weights and teacher by their SHA-256, data by names, scores and parts.
  root: 'free',
  csv: 'free',
  pairs: 'free',
  weights: 'free',
  teacher: 'free',
  cache: 'free',
  checkpointEvery: 'free',
  encodeBatch: 'rounding',
  tune: 'rounding',
  epochs: 'upward',
};

type Values = Readonly<Record<string, unknown>>;

/**
 * Compares the settings of a run with those it is to go on with.
 *
 * @returns what to say of changes that are not without effect
 * @throws UserError that names every setting that may not change, with its old and new value
 */
export function checkChanges(before: Values, now: Values, folder: string): string[] {
  const refused: string[] = [];
  const notes: string[] = [];
  for (const [name, value] of Object.entries(now)) {
    const old = before[name];
    if (old === value) continue;
    const kind = kindOf(name, before, now);
    if (!kind || (kind === 'upward' && !(Number(value) > Number(old))))
      refused.push(`${optionFlag(name)} ${text(old)}, not ${text(value)}`);
    else if (kind === 'rounding')
      notes.push(
        `${optionFlag(name)} was ${text(old)}, now ${text(value)}: the last bits of the results may differ`,
      );
  }
  if (refused.length === 0) return notes;
  throw new UserError(
    `${folder} was trained with ${refused.join('; ')}`,
    'Resume a run with its saved settings (--resume DIR alone does), or start another run with --out.',
  );
}

function kindOf(name: string, before: Values, now: Values): Change | undefined {
  // Half storage rounds what comes from a cache, so that there is to be one, or none, throughout.
  const rounds = name === 'cache' && now.cacheType === 'float16';
  if (rounds && (before.cache === 'none') !== (now.cache === 'none')) return undefined;
  return Object.hasOwn(changes, name) ? changes[name] : undefined;
}

const text = (value: unknown) => (typeof value === 'string' ? `"${value}"` : String(value));
/**
 * The settings of the run in a folder, from its checkpoint or, before there is one, from its config.yaml.
 *
 * @throws UserError if there is no run of this command
 */
export async function savedSettings(folder: string, command: RunCommand): Promise<Values> {
  const checkpoint = join(folder, 'checkpoint.safetensors');
  const found = existsSync(checkpoint) ? await checkpointSettings(checkpoint) : null;
  const settings = found?.settings ?? configSettings(folder);
  if (settings === null || typeof settings !== 'object') throw nothingToResume(folder);
  const other = found ? (/pretrain/.test(found.format) ? 'pretrain' : 'train') : commandOf(folder);
  if (other && other !== command)
    throw new UserError(`${folder} holds a run of ${other}`, `Resume it: ${resumeCommand(folder, other)}`);
  return settings as Values;
}

const places = ['root', 'csv', 'pairs', 'weights', 'teacher', 'cache'] as const;
/** Values of these settings that are no paths. */
const words: readonly unknown[] = ['', 'none', 'embedded'];

/** Settings with absolute paths, so that a run can be resumed and its model used from any folder. */
export function withAbsolutePaths<Settings extends object>(settings: Settings): Settings {
  const changed = { ...settings } as Record<string, unknown>;
  for (const name of places)
    if (typeof changed[name] === 'string' && !words.includes(changed[name]))
      changed[name] = resolve(changed[name]);
  return changed as Settings;
}
