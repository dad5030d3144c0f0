import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import { savedSettings } from './resume.ts';
import { type RunCommand, resumeCommand } from './run-command.ts';
import { isRun } from './run-folder.ts';

/**
 * What a run trains with: the settings given or, where it resumes, those of the run with the ones given on top.
 *
 * @param how.merge the settings given over a base, by default over the defaults
 * @param how.folder where such settings would leave a run
 * @param how.seeds of `--seeds`: the runs are in sub-folders
 */
export async function runSettings<Settings extends { readonly out: string; readonly cache: string }>(
  { resume }: { readonly resume?: string | true },
  how: {
    readonly command: RunCommand;
    readonly merge: (base?: Settings) => Settings;
    readonly parse: (saved: Readonly<Record<string, unknown>>, where: string) => Settings;
    readonly folder: (settings: Settings) => string;
    readonly seeds?: readonly number[] | null | undefined;
  },
  reporter: Reporter,
): Promise<{ readonly settings: Settings; readonly resume: string | false }> {
  const given = how.merge();
  if (resume === undefined) return { settings: given, resume: false };
  const folder = resume === true ? how.folder(given) : resume;
  const runs = how.seeds?.map((seed) => join(folder, `seed${seed}`)) ?? [folder];
  const run = runs.find(isRun) ?? runs[0]!;
  if (!how.seeds) refuseSeeds(folder);
  const saved = how.parse(await savedSettings(run, how.command), run);
  return {
    settings: how.merge({ ...saved, out: folder, cache: trusted(saved.cache, reporter) }),
    resume: folder,
  };
}

function refuseSeeds(folder: string): void {
  if (isRun(folder) || !existsSync(folder)) return;
  const seeds = readdirSync(folder).flatMap((name) => {
    const found = /^seed(\d+)$/.exec(name);
    return found && isRun(join(folder, name)) ? [found[1]!] : [];
  });
  if (seeds.length > 0)
    throw new UserError(
      `${folder} holds the runs of several seeds: ${seeds.join(', ')}`,
      `Resume them: ${resumeCommand(folder, 'train')} --seeds ${seeds.join()}`,
    );
}

/** A run's own cache folder, unless a file that somebody sent would have one made anywhere. */
function trusted(cache: string, reporter: Reporter): string {
  if (cache === '' || cache === 'none') return cache;
  const names = existsSync(cache) ? readdirSync(cache) : [];
  if (names.some((name) => name.endsWith('.features'))) return cache;
  reporter.line(
    `cache      ${cache} no longer holds features: using the default cache (set another with --cache)`,
  );
  return '';
}
