import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { numberField, readCsv } from '../data/csv.ts';
import { openDataset } from '../data/datasets/index.ts';
import { missingResult } from '../training/checkpoint.ts';
import type { EpochRecord } from '../training/loop.ts';
import type { RunSummary } from '../training/run.ts';
import { datasetOptions } from '../training/settings.ts';

/** A test picture with its score and what the model predicts, both in the unit of the MOS. */
export interface PredictedPicture {
  readonly name: string;
  readonly mos: number;
  readonly prediction: number;
  /** Where the picture lies, if it still does. */
  readonly path?: string;
}

/** What a run left in its folder. */
export interface RunFiles {
  readonly summary: RunSummary;
  readonly records: readonly EpochRecord[];
  readonly predictions: readonly PredictedPicture[];
  /** Why there are no pictures to show. */
  readonly picturesMissing?: string;
}

/**
 * Reads a finished run: summary.json, metrics.jsonl, predictions.csv, and where its test pictures lie.
 *
 * @param options.root the dataset's folder, where it has moved
 */
export async function readRun(folder: string, options: { readonly root?: string } = {}): Promise<RunFiles> {
  if (!existsSync(join(folder, 'summary.json')))
    throw missingResult(
      folder,
      new UserError(`${folder} holds no summary.json`, 'Give the folder of a finished training run.'),
    );
  const summary: RunSummary = JSON.parse(await readFile(join(folder, 'summary.json'), 'utf8'));
  const records = summary.epochs > 0 ? await readRecords(join(folder, 'metrics.jsonl')) : [];
  if (!summary.test) return { summary, records, predictions: [] };
  const table = await readCsv(join(folder, 'predictions.csv'));
  const rows = table.rows.map((row) => ({
    name: row.fields.name!,
    mos: numberField(table, row, 'mos'),
    prediction: numberField(table, row, 'prediction'),
  }));
  try {
    const paths = await testPictures(summary, options.root);
    return { summary, records, predictions: rows.map((row) => ({ ...row, path: paths.get(row.name) })) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { summary, records, predictions: rows, picturesMissing: error.message };
  }
}

async function readRecords(path: string): Promise<EpochRecord[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}

async function testPictures({ settings }: RunSummary, root?: string): Promise<Map<string, string>> {
  const dataset = await openDataset(datasetOptions(root === undefined ? settings : { ...settings, root }));
  return new Map(
    Array.from(dataset.split.test, (at) => {
      const { name, path } = dataset.samples[at]!;
      return [name, path];
    }),
  );
}
