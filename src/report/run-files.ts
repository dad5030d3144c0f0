import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { parseJson } from '../common/json.ts';
import { readJson } from '../common/json-file.ts';
import { readText } from '../common/read-file.ts';
import { openDataset } from '../data/datasets/index.ts';
import { numberField, readCsv, requireColumn, textField } from '../data/formats/csv.ts';
import type { RunSummary } from '../training/run.ts';
import { missingResult } from '../training/run-folder.ts';
import { epochRecordSchema, summarySchema } from '../training/run-schemas.ts';
import { applySettings, datasetOptions, defaultSettings } from '../training/settings.ts';
import type { EpochRecord } from '../training/training-state.ts';

/** A test image with its score and what the model predicts, both in the unit of the MOS. */
export interface PredictedImage {
  readonly name: string;
  readonly mos: number;
  readonly prediction: number;
  /** Where the image lies, if it still does. */
  readonly path?: string | undefined;
}

/** What a run left in its folder. */
export interface RunFiles {
  readonly summary: RunSummary;
  readonly records: readonly EpochRecord[];
  readonly predictions: readonly PredictedImage[];
  /** Why there are no images to show. */
  readonly imagesMissing?: string;
}

/**
 * Reads a finished run: summary.json, metrics.jsonl, predictions.csv, and where its test images lie.
 *
 * @param options.root the dataset's folder, where it has moved
 */
export async function readRun(
  folder: string,
  options: { readonly root?: string | undefined } = {},
): Promise<RunFiles> {
  const run = await readResults(folder);
  if (run.predictions.length === 0) return run;
  try {
    const paths = await testImages(run.summary, options.root);
    return { ...run, predictions: run.predictions.map((row) => ({ ...row, path: paths.get(row.name) })) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...run, imagesMissing: error.message };
  }
}

/** As {@link readRun}, without the images: from the run's own folder alone. */
export async function readResults(folder: string): Promise<RunFiles> {
  if (!isFinished(folder))
    throw missingResult(
      folder,
      new UserError(`${folder} holds no summary.json`, 'Pass the folder of a finished training run.'),
    );
  const summary = await readSummary(join(folder, 'summary.json'));
  const records = summary.epochs > 0 ? await readRecords(join(folder, 'metrics.jsonl')) : [];
  if (!summary.test) return { summary, records, predictions: [] };
  const table = await readCsv(join(folder, 'predictions.csv'));
  for (const name of ['name', 'mos', 'prediction']) requireColumn(table, [name]);
  const predictions = table.rows.map((row) => ({
    name: textField(row, 'name'),
    mos: numberField(table, row, 'mos'),
    prediction: numberField(table, row, 'prediction'),
  }));
  return { summary, records, predictions };
}

/** Whether a folder holds a finished training run. */
export const isFinished = (folder: string): boolean => existsSync(join(folder, 'summary.json'));

/** Whether a folder holds a finished run of pre-training, which has neither a split nor predictions. */
export const isPretraining = (folder: string): boolean =>
  isFinished(folder) &&
  existsSync(join(folder, 'config.yaml')) &&
  !['split.csv', 'predictions.csv'].some((name) => existsSync(join(folder, name)));

async function readSummary(path: string): Promise<RunSummary> {
  const { settings, ...summary } = await readJson(path, summarySchema, damaged);
  return { ...summary, settings: applySettings(defaultSettings(), settings, path) };
}

async function readRecords(path: string): Promise<EpochRecord[]> {
  const lines = (await readText(path, 'jsonBytes')).split('\n');
  return lines.flatMap((line, i) =>
    line === '' ? [] : [parseJson(line, epochRecordSchema, `${path}, line ${i + 1}`, damaged)],
  );
}

const damaged = 'The file is damaged; --resume writes it again from the checkpoint.';

async function testImages({ settings }: RunSummary, root?: string): Promise<Map<string, string>> {
  const dataset = await openDataset(datasetOptions(root === undefined ? settings : { ...settings, root }));
  return new Map(
    Array.from(dataset.split.test, (at) => {
      const { name, path } = dataset.samples[at]!;
      return [name, path];
    }),
  );
}
