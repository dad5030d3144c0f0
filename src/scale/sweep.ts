import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { UserError } from '../common/errors.ts';
import { anyObject, checkJson, parseJson } from '../common/json.ts';
import { readJson } from '../common/json-file.ts';
import { readTextSync } from '../common/read-file.ts';
import { decoderId } from '../data/images/decode.ts';
import { numericsVersion } from '../kernels/device/numerics.ts';
import { weightsPath } from '../model/weights/embedded.ts';
import { weightsId } from '../model/weights/weights-id.ts';
import { withAbsolutePaths } from '../training/resume.ts';
import { applySettings, defaultSettings, type Settings } from '../training/settings.ts';
import { type Cell, Manifest, type ManifestRow } from './manifest.ts';
import { type Plan, type PlannedRun, shardName } from './plan.ts';

/** The runs of a sweep: what is set in each, beside the settings they share. */
export interface Sweep {
  /** Settings that differ between runs, in the order of the file. */
  readonly names: readonly string[];
  readonly runs: readonly (readonly (readonly [name: string, value: string | number | boolean])[])[];
}

/** More runs than anyone means. */
const mostRuns = 100_000;

/**
 * Reads a sweep: settings by name, each with a value or a list of values; the runs are all combinations, the last setting of the file
 * varying fastest.
 *
 * @throws UserError if it makes no sense
 */
export function readSweep(path: string): Sweep {
  const advice = 'Write settings with lists of values, such as lr: [0.001, 0.01].';
  let parsed: unknown;
  try {
    parsed = parseYaml(readTextSync(path, 'yamlBytes'), { logLevel: 'error' });
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: ${(error as Error).message.split('\n')[0]}`, advice);
  }
  const entries = Object.entries(checkJson(parsed, anyObject, path, advice));
  let runs: (readonly [string, string | number | boolean])[][] = [[]];
  for (const [name, given] of entries) {
    const values: unknown[] = Array.isArray(given) ? given : [given];
    if (
      values.length === 0 ||
      !values.every((value) => ['string', 'number', 'boolean'].includes(typeof value))
    )
      throw new UserError(`${path}: ${name} is neither a value nor a list of values`, advice);
    if (runs.length * values.length > mostRuns)
      throw new UserError(`${path}: more than ${mostRuns} combinations`, 'Split it into several sweeps.');
    runs = runs.flatMap((run) =>
      values.map((value) => [...run, [name, value as string | number | boolean] as const]),
    );
  }
  const names = entries.map(([name]) => name);
  if (names.length === 0) throw new UserError(`${path} holds no settings`, advice);
  if (names.includes('out'))
    throw new UserError(`${path}: out is the sweep's own`, 'Omit it, and pass --out DIR.');
  return { names, runs };
}

/** Rows of a plan, one a run; each holds all of its settings. */
export function sweepRows({ runs }: Sweep, base: Settings, path: string): ManifestRow[] {
  return runs.map((run): ManifestRow => {
    const settings = applySettings(base, Object.fromEntries(run), path);
    return {
      path: run.map(([name, value]) => `${name}=${value}`).join(' '),
      prompt: JSON.stringify({ ...withAbsolutePaths(settings), out: '' }),
      extra: run.map(([, value]): Cell => (typeof value === 'boolean' ? String(value) : value)),
    };
  });
}

/** What decides the results of training runs beside their settings: the weights of each, the decoder, and the numerics. */
export async function sweepIdentity(all: readonly Settings[]): Promise<Plan['identity']> {
  const identity: Record<string, string | number> = { numerics: numericsVersion, decoder: decoderId };
  for (const name of new Set(all.map(({ weights }) => weights)))
    identity[`weights ${name}`] = await weightsId(weightsPath(name));
  return identity;
}

/** Settings of each run of a sweep. */
export async function sweepSettings({ folder, plan }: PlannedRun): Promise<Settings[]> {
  const manifest = new Manifest(folder, plan.manifest, plan.shards);
  const all: Settings[] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    const [row] = await manifest.read(shard);
    const values = parseJson(row?.prompt, anyObject, `${folder}, run ${shard}`);
    const settings = applySettings(defaultSettings(), values, folder);
    // The features are encoded once for all runs, also those on other machines.
    const cache = settings.cache === '' ? join(folder, 'cache') : settings.cache;
    all.push({ ...settings, cache, out: runPlace(folder, shard) });
  }
  return all;
}

/** The folder of a run. */
export const runPlace = (folder: string, shard: number): string =>
  join(folder, 'runs', `run-${shardName(shard)}`);

/** Columns of a table of runs, beside the sweep's own. */
export const figureNames = ['srcc', 'plcc', 'krcc', 'rmse', 'accuracy'] as const;

/** What came of a run: the cells of {@link figureNames}. */
export async function runFigures(folder: string, shard: number): Promise<readonly Cell[]> {
  const summary = await readJson(join(runPlace(folder, shard), 'summary.json'), anyObject);
  const { test, accuracy } = summary as {
    test?: { overall?: Record<string, unknown> } | null;
    accuracy?: unknown;
  };
  const overall = test?.overall ?? {};
  return figureNames.map((name) => {
    const value = name === 'accuracy' ? accuracy : overall[name];
    return typeof value === 'number' ? value : null;
  });
}
