import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { type PairedDifference, type PairedMetric, pairedDifferences } from '../data/metrics/paired.ts';
import { meanAndStd } from '../training/seeds.ts';
import { type SettingName, settingNames } from '../training/settings.ts';
import { isFinished, isPretraining, type RunFiles, readResults } from './run-files.ts';

export interface ComparedRun extends RunFiles {
  readonly folder: string;
  /** The folder without what all have in common. */
  readonly name: string;
  /** When its summary was written. */
  readonly finished: Date;
}

/** Runs that differ in nothing but their seed. */
export interface RunGroup {
  readonly name: string;
  readonly runs: readonly ComparedRun[];
  /** Of the test set's metrics over the runs; std is NaN for one run. */
  readonly figures: Readonly<Record<PairedMetric, { readonly mean: number; readonly std: number }>>;
}

/** A group beside the baseline, on the images that both predict. */
export interface Comparison {
  readonly name: string;
  readonly baseline: string;
  /** Images that both predict. */
  readonly images: number;
  readonly differences: Readonly<Record<PairedMetric, PairedDifference>>;
}

export interface RunsCompared {
  readonly groups: readonly RunGroup[];
  /** Settings that are not the same in all groups, beside the seed. */
  readonly differing: readonly SettingName[];
  readonly baseline: string;
  readonly comparisons: readonly Comparison[];
  /** Why a group is not compared with the baseline, and what folders were left out. */
  readonly notes: readonly string[];
}

/** Settings that say where a run lies and how fast it went, not what it is. */
const incidental: ReadonlySet<SettingName> = new Set<SettingName>(['seed', 'out', 'cache', 'tune']);

/** How deep below a given folder runs are looked for: output/DATA/TRAINER/SETTINGS/seedN. */
const deepest = 5;

/**
 * Finds the finished runs in these folders and below them, and compares them.
 *
 * @param options.baseline the folder or the name of the run, or of its group, that the others are held against; by default the first
 * @throws UserError if there are fewer than two runs, or if the baseline is none of them
 */
export async function compareRuns(
  folders: readonly string[],
  options: { readonly baseline?: string; readonly resamples?: number } = {},
): Promise<RunsCompared> {
  const { found, unfinished, pretrained } = findRuns(folders);
  if (found.length < 2)
    throw new UserError(
      `there ${found.length === 1 ? 'is one finished run' : 'are no finished runs'} in ${folders.join(', ')}`,
      'Pass the folders of two or more finished training runs, or a folder that holds them.',
    );
  const names = namesOf(found);
  const runs: ComparedRun[] = [];
  for (const [i, folder] of found.entries())
    runs.push({
      ...(await readResults(folder)),
      folder,
      name: names[i]!,
      finished: statSync(join(folder, 'summary.json')).mtime,
    });
  const groups = groupRuns(runs);
  const baseline = baselineOf(groups, options.baseline);
  const notes = [
    ...unfinished.map((folder) => `${folder}: not finished`),
    ...pretrained.map((folder) => `${folder}: pre-training, which predicts no scores`),
  ];
  const comparisons: Comparison[] = [];
  for (const group of groups) {
    if (group === baseline) continue;
    const compared = comparison(group, baseline, options.resamples);
    if (typeof compared === 'string') notes.push(compared);
    else comparisons.push(compared);
  }
  return { groups, differing: differingSettings(groups), baseline: baseline.name, comparisons, notes };
}

function findRuns(folders: readonly string[]): Record<'found' | 'unfinished' | 'pretrained', string[]> {
  const found = new Set<string>();
  const pretrained = new Set<string>();
  const unfinished = new Set<string>();
  const look = (folder: string, depth: number) => {
    if (isPretraining(folder)) pretrained.add(folder);
    else if (isFinished(folder)) found.add(resolve(folder));
    else {
      const entries = readdirSync(folder, { withFileTypes: true });
      if (entries.some(({ name }) => name === 'config.yaml')) unfinished.add(folder);
      // Links are not followed: they could lead anywhere, and in a circle.
      if (depth < deepest)
        for (const entry of entries)
          if (entry.isDirectory() && !entry.name.startsWith('.')) look(join(folder, entry.name), depth + 1);
    }
  };
  for (const folder of folders) {
    // A glob of output/* also gives files.
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (!stats) throw new UserError(`${folder}: no such file or folder`, 'Pass folders of training runs.');
    if (stats.isDirectory()) look(folder, 0);
  }
  const order = (set: ReadonlySet<string>) =>
    [...set].sort(new Intl.Collator('en', { numeric: true }).compare);
  return { found: order(found), unfinished: order(unfinished), pretrained: order(pretrained) };
}

/** Each folder without the folders above that all have in common. */
function namesOf(folders: readonly string[]): string[] {
  let common = dirname(folders[0]!);
  while (!folders.every((folder) => folder.startsWith(`${common}/`) || common === '/'))
    common = dirname(common);
  return folders.map((folder) => relative(common, folder) || basename(folder));
}

function groupRuns(runs: readonly ComparedRun[]): RunGroup[] {
  const bySettings = new Map<string, ComparedRun[]>();
  for (const run of runs) {
    const { settings } = run.summary;
    const key = JSON.stringify(settingNames.map((name) => (incidental.has(name) ? null : settings[name])));
    bySettings.set(key, [...(bySettings.get(key) ?? []), run]);
  }
  return [...bySettings.values()].map((members) => {
    const figure = (name: PairedMetric) =>
      meanAndStd(members.map(({ summary }) => summary.test?.overall[name] ?? Number.NaN));
    const figures = {
      srcc: figure('srcc'),
      plcc: figure('plcc'),
      krcc: figure('krcc'),
      rmse: figure('rmse'),
    };
    return { name: groupName(members), runs: members, figures };
  });
}

/** That of its one run, or the folder that holds seed1, seed2, …; else the first's. */
function groupName(runs: readonly ComparedRun[]): string {
  const [first, ...rest] = runs.map(({ name }) => name);
  if (rest.length === 0) return first!;
  const parent = dirname(first!);
  return parent !== '.' && rest.every((name) => dirname(name) === parent) ? parent : `${first}, …`;
}

function differingSettings(groups: readonly RunGroup[]): SettingName[] {
  const value = ({ runs }: RunGroup, name: SettingName) => runs[0]!.summary.settings[name];
  return settingNames.filter(
    (name) => !incidental.has(name) && groups.some((group) => value(group, name) !== value(groups[0]!, name)),
  );
}

function baselineOf(groups: readonly RunGroup[], wanted: string | undefined): RunGroup {
  if (wanted === undefined) return groups[0]!;
  const found = groups.find(
    ({ name, runs }) =>
      name === wanted || runs.some((run) => run.name === wanted || run.folder === resolve(wanted)),
  );
  if (found) return found;
  throw new UserError(
    `--baseline ${wanted} is not one of the runs`,
    `Choose one of ${groups.map(({ name }) => name).join(', ')}.`,
  );
}

/** The differences of two groups' mean predictions, or why there are none. */
function comparison(group: RunGroup, baseline: RunGroup, resamples = 1000): Comparison | string {
  const [mine, theirs] = [meanPredictions(group), meanPredictions(baseline)];
  const shared = [...mine].filter(([name, { mos }]) => theirs.get(name)?.mos === mos);
  if (shared.length < 2) return `${group.name}: has no test images in common with ${baseline.name}`;
  const differences = pairedDifferences(
    shared.map(([, { prediction }]) => prediction),
    shared.map(([name]) => theirs.get(name)!.prediction),
    shared.map(([, { mos }]) => mos),
    { resamples },
  );
  return { name: group.name, baseline: baseline.name, images: shared.length, differences };
}

/** Of each image that every run of the group predicts: its score, and the mean of the predictions. */
function meanPredictions({ runs }: RunGroup): Map<string, { mos: number; prediction: number }> {
  const sums = new Map<string, { mos: number; prediction: number; count: number }>();
  for (const { predictions } of runs)
    for (const { name, mos, prediction } of predictions) {
      const sum = sums.get(name);
      if (!sum) sums.set(name, { mos, prediction, count: 1 });
      else if (sum.mos === mos) {
        sum.prediction += prediction;
        sum.count++;
      }
    }
  return new Map(
    [...sums]
      .filter(([, { count }]) => count === runs.length)
      .map(([name, { mos, prediction, count }]) => [name, { mos, prediction: prediction / count }]),
  );
}
