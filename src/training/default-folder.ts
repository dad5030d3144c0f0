import { createHash } from 'node:crypto';
import { basename, extname, join } from 'node:path';
import { usesContext } from './create-learner.ts';
import { withAbsolutePaths } from './resume.ts';
import { defaultSettings, type Settings } from './settings.ts';

/** Settings that say where things are kept or how fast they are made: a run in another folder would be the same. */
const unnamed = ['out', 'cache', 'encodeBatch', 'tune', 'checkpointEvery'];

/**
 * A part of a default folder's name that differs wherever settings differ: empty for the default settings, else `-` and six
 * digits of a hash.
 *
 * @param named settings that the folder's name tells already
 */
export function settingsSuffix<Settings extends object>(
  settings: Settings,
  defaults: Settings,
  named: readonly string[],
): string {
  const standard = defaults as Readonly<Record<string, unknown>>;
  const changed = Object.entries(withAbsolutePaths(settings))
    .filter(([name, value]) => value !== standard[name] && !unnamed.includes(name) && !named.includes(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (changed.length === 0) return '';
  return `-${createHash('sha256').update(JSON.stringify(changed)).digest('hex').slice(0, 6)}`;
}

/**
 * Where a run's results go: `out`, or a default folder that differs wherever settings differ. Its first parts are those of
 * the published code: data, trainer and prompt, seed.
 */
export function runFolder(settings: Settings): string {
  const { out, data, target, trainer, nCtx, classSpecific, position, shots, seed } = settings;
  if (out !== '') return out;
  const few = shots > 0 ? `_${shots}shots` : '';
  const named = ['data', 'target', 'trainer', 'shots', 'seed'];
  let prompt = '';
  if (usesContext(trainer)) {
    prompt = `_nctx${nCtx}_csc${classSpecific}_ctp${position}`;
    named.push('nCtx', 'classSpecific', 'position');
  }
  const name = `${trainer}${few}${prompt}${settingsSuffix(settings, defaultSettings(), named)}`;
  return join('output', target ? `${data}-${target}` : data, name, `seed${seed}`);
}

/** Default folder of a pre-training's results. */
export function pretrainingFolder<Settings extends { data: string; pairs: string; seed: number }>(
  settings: Settings,
  defaults: Settings,
): string {
  const { data, pairs, seed } = settings;
  const name = pairs === '' ? data : basename(pairs, extname(pairs));
  const suffix = settingsSuffix(settings, defaults, ['data', 'seed']);
  return join('output', 'pretrain', `${name}${suffix}`, `seed${seed}`);
}
