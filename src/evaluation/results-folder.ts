import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { UserError } from '../common/errors.ts';
import { optionFlag } from '../common/fields.ts';
import { isTemporary, prepareFolder } from '../common/files.ts';
import { anyObject } from '../common/json.ts';
import { readJson } from '../common/json-file.ts';
import { PublishConflict, publish } from '../common/publish.ts';
import { settingsSuffix } from '../training/default-folder.ts';
import { withAbsolutePaths } from '../training/resume.ts';
import { defaultSettings, type Settings } from '../training/settings.ts';

const schema = v.object({
  format: v.literal('clip-agiqa-webgpu evaluation 1'),
  settings: anyObject,
  /** SHA-256 of the names, scores and groups of the images, and of the weights. */
  data: v.string(),
  weights: v.string(),
});

/** What all folds in a folder have in common: plan.json, the first file there. */
export type Plan = v.InferOutput<typeof schema>;

/** Settings that do not change what is computed, or that each fold has of its own. */
const varying = ['out', 'cache', 'encodeBatch', 'tune', 'seed', 'shots', 'root', 'csv', 'weights'] as const;

/** The files and folders of an evaluation, besides what is written at the end. */
const reports = ['predictions.csv', 'results.json', 'report.html'];

/** Whether a folder holds an evaluation. */
export const isEvaluation = (folder: string): boolean => existsSync(join(folder, 'plan.json'));

/** Where an evaluation goes without --out: a folder that differs wherever settings differ. */
export function evaluationFolder(settings: Settings): string {
  const { out, data, target, trainer } = settings;
  if (out !== '') return out;
  const suffix = settingsSuffix({ ...settings, seed: defaultSettings().seed }, defaultSettings(), [
    'data',
    'target',
    'trainer',
    'shots',
  ]);
  return join('output', 'evaluate', target ? `${data}-${target}` : data, `${trainer}${suffix}`);
}

/**
 * Takes a folder for an evaluation: an empty or new one, or one that holds folds of the same settings, data and weights.
 *
 * @throws UserError for any other
 */
export async function openFolder(
  folder: string,
  settings: Settings,
  data: string,
  weights: string,
): Promise<void> {
  const kept = Object.entries(withAbsolutePaths(settings)).filter(
    ([name]) => !(varying as readonly string[]).includes(name),
  );
  const plan: Plan = {
    format: 'clip-agiqa-webgpu evaluation 1',
    settings: Object.fromEntries(kept),
    data,
    weights,
  };
  prepareFolder(folder);
  for (const name of [...reports, 'plan.json', 'folds', 'splits'])
    if (lstatSync(join(folder, name), { throwIfNoEntry: false })?.isSymbolicLink())
      throw new UserError(
        `${join(folder, name)} is a symbolic link, but an evaluation writes its own file there`,
        'Remove the link, or choose another --out.',
      );
  const path = join(folder, 'plan.json');
  if (!isEvaluation(folder)) {
    const other = readdirSync(folder).find((name) => !isTemporary(name));
    if (other !== undefined)
      throw new UserError(
        `${folder} holds other files (${other})`,
        'Choose an empty folder or a new one with --out.',
      );
    try {
      publish(path, Buffer.from(`${JSON.stringify(plan, null, 2)}\n`), folder);
    } catch (error) {
      // Another process came first, with a plan that is looked at below.
      if (!(error instanceof PublishConflict)) throw error;
    }
  }
  refuseOther(await readJson(path, schema, 'Choose another --out.'), plan, folder);
}

function refuseOther(before: Plan, now: Plan, folder: string): void {
  const names = new Set([...Object.keys(before.settings), ...Object.keys(now.settings)]);
  const differing = [...names].filter((name) => before.settings[name] !== now.settings[name]);
  const said = differing.map(
    (name) =>
      `${optionFlag(name)} ${JSON.stringify(before.settings[name])}, not ${JSON.stringify(now.settings[name])}`,
  );
  if (before.data !== now.data) said.push('other images, scores or prompts');
  if (before.weights !== now.weights) said.push('other weights');
  if (said.length > 0)
    throw new UserError(
      `${folder} holds an evaluation with ${said.join('; ')}`,
      'Choose another folder with --out.',
    );
}
