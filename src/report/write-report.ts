import { join } from 'node:path';
import { checkOutput, writeOutput } from '../common/files.ts';
import { refuseLinks } from '../training/run-folder.ts';
import { galleries, type RelevanceOf } from './gallery.ts';
import { reportPage } from './page.ts';
import { readRun } from './run-files.ts';

export interface ReportOptions {
  /** The dataset's folder, where it has moved since the training. */
  readonly root?: string | undefined;
  /** Images a row of the gallery. */
  readonly images?: number;
  /** Shown below the images of the gallery. */
  readonly relevanceOf?: RelevanceOf | undefined;
}

/**
 * Writes `report.html` in a finished run's folder: one self-contained page, and nothing else anywhere.
 *
 * @returns its path
 * @throws UserError if the folder holds no finished run
 */
export async function writeReport(folder: string, options: ReportOptions = {}): Promise<string> {
  const run = await readRun(folder, options);
  const path = join(folder, 'report.html');
  refuseLinks(folder);
  checkOutput(path);
  const located = run.predictions.some(({ path }) => path !== undefined);
  const rows = located ? await galleries(run.predictions, options.images ?? 6, options.relevanceOf) : [];
  await writeOutput(path, reportPage(run, rows));
  return path;
}
