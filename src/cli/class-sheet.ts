import { Stopped, UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import type { ClassifiedImage, Classifier } from '../scoring/classifier.ts';
import { terminal } from './start.ts';
import { formatTable } from './table.ts';

/** How the classes of images are printed. */
export interface ClassSheetOptions {
  readonly csv?: string | undefined;
  readonly rawCsv?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** Options of `score` that a model of classes has no use for. */
interface ScoreOnly {
  readonly pairs?: unknown;
  readonly alignment?: unknown;
  readonly exif?: unknown;
  readonly sort?: unknown;
  readonly promptColumn?: unknown;
  readonly doubt?: unknown;
}

/** Refuses options that are for scores, where the model tells classes apart. */
export function refuseScoreOptions(model: string, options: ScoreOnly): void {
  const { pairs, alignment, exif, sort, promptColumn, doubt } = options;
  if (doubt || pairs || alignment !== undefined || exif || sort || promptColumn !== undefined)
    throw new UserError(
      `${model} tells classes apart: --doubt, --pairs, --alignment, --exif, --sort and --prompt-column are for scores`,
      'Omit them.',
    );
}

/**
 * Prints the class of each image and its probability: a table, CSV or JSON lines, in the order of the images.
 *
 * @returns how many have none
 * @throws Stopped if `signal` ended it; nothing is written then
 */
export async function printClasses(
  classifier: Classifier,
  paths: readonly string[],
  { csv, rawCsv, json }: ClassSheetOptions,
  signal: AbortSignal,
): Promise<number> {
  const results: ClassifiedImage[] = [];
  const bar = terminal.bar('classifying', paths.length);
  try {
    for await (const result of classifier.classify(paths)) {
      if (signal.aborted)
        throw new Stopped(`after ${results.length} of ${paths.length} images; nothing was written`);
      results.push(result);
      bar.advance();
    }
  } finally {
    bar.stop();
  }
  if (csv !== undefined) {
    const rows = results.map((result) =>
      'error' in result
        ? [result.path, '', '', result.error]
        : [result.path, result.class, result.probability, ''],
    );
    await writeOutput(csv, csvText([['path', 'class', 'probability', 'error'], ...rows], { raw: rawCsv }));
  }
  if (json) for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`);
  if (csv === undefined && !json) {
    const rows = results.flatMap((result) =>
      'error' in result ? [] : [[result.path, result.class, result.probability.toFixed(4)]],
    );
    const table = formatTable(rows, { columns: ['image', 'class', 'probability'], align: 'llr' });
    process.stdout.write(`${table}\n`);
  }
  const failed = results.filter((result) => 'error' in result);
  for (const { error } of failed) terminal.warn(`skipped    ${error}`);
  return failed.length;
}
