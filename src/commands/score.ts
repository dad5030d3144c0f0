import { Option } from 'commander';
import { printClasses } from '../cli/class-sheet.ts';
import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addEpochFileOption, epochFile } from '../cli/original-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { formatTable } from '../cli/table.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { checkOutput, type Output, openOutput } from '../common/files.ts';
import { printable } from '../common/printable.ts';
import { type CsvCell, csvText } from '../data/formats/csv-writer.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import type { Reading } from '../model/class-constants.ts';
import type { Position } from '../model/prefix-tree.ts';
import { Classifier } from '../scoring/classifier.ts';
import { findImages } from '../scoring/images.ts';
import { type ScoredImage, Scorer, trainedSettings } from '../scoring/scorer.ts';

interface Options {
  model: string;
  epochFile?: string;
  ctp: Position;
  scoreBy?: Reading;
  weights?: string;
  batch?: number;
  csv?: string;
  rawCsv?: boolean;
  json?: boolean;
}

const command = addEpochFileOption(
  createCommand('score', 'Scores images, or every image in a folder, with a trained model.', [
    'node dist/score.js image.png --model output/my-run',
    'node dist/score.js folder/ --model output/my-run --csv scores.csv',
    'node dist/score.js a.jpg b.jpg --model model.safetensors --weights ViT-B-16.pt --json',
    'node dist/score.js a.jpg --model nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt',
  ]),
)
  .argument(
    '<image...>',
    'image files, folders to search recursively, or quoted patterns; - reads names from stdin',
  )
  .requiredOption(
    '--model <path>',
    'folder of a training run, its model.safetensors, or a results folder of the published trainer',
  )
  .option('--weights <file>', 'CLIP weights (default: those the model was trained on)')
  .addOption(
    new Option('--ctp <position>', 'for a folder of the published trainer: position of the quality word')
      .choices(['end', 'middle', 'front'])
      .default('end'),
  )
  .addOption(
    new Option(
      '--score-by <reading>',
      'for a zero-shot model: how to score (default: as it was saved)',
    ).choices(['words', 'antonyms']),
  )
  .option(
    '--batch <n>',
    `batch size of the image tower (default: ${encodeBatch}); changing it may change the last bits of a score`,
    countOption('--batch'),
  )
  .option('--csv <file>', 'write the scores as CSV, in the order of the images; - for stdout')
  .addOption(rawCsvOption())
  .option('--json', 'print one JSON object per line on stdout');

/** What is written of an image that was not reached, so that an unfinished CSV says so itself. */
const notScored = 'not scored: the command was stopped first';

await runCommand<Options & Record<string, unknown>>(command, async (options, args) => {
  const { csv, json } = options;
  if (json && csv === '-') throw new UserError('--json and --csv - both print to stdout', 'Use one of them.');
  if (csv !== undefined) checkOutput(csv);
  const { paths, leftOut } = await findImages(args);
  if (leftOut) terminal.line(`left out   ${leftOut}`);
  const signal = watchInterrupts();
  const gpu = await startGpu(terminal);
  if ((await trainedSettings(options.model)).classColumn !== '') {
    const classifier = await Classifier.load(gpu, options.model, options);
    const failed = await printClasses(classifier, paths, options, signal);
    await classifier.close();
    gpu.close();
    if (failed === paths.length) process.exitCode = 1;
    return;
  }
  const scorer = await Scorer.load(gpu, options.model, {
    weights: options.weights,
    epoch: epochFile(options.epochFile),
    position: options.ctp,
    scoreBy: options.scoreBy,
    batch: options.batch,
  });
  const table: ScoredImage[] | null = csv === undefined && !json ? [] : null; // needs them all; the other forms stream
  const output = csv === undefined ? null : openOutput(csv);
  const done = { reached: 0, scored: 0 };
  try {
    output?.write(csvText([['path', 'score', 'error']]));
    await scoreAll(scorer, paths, signal, (result) => {
      done.reached++;
      if ('score' in result) done.scored++;
      output?.write(csvText([csvRow(result)], { raw: options.rawCsv }));
      if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
      table?.push(result);
    });
  } catch (error) {
    finishCsv(output, paths.slice(done.reached), options);
    if (output && done.reached > 0) terminal.line(`results    ${countText(done, paths, csv)}`);
    throw error;
  }
  finishCsv(output, paths.slice(done.reached), options);
  if (table) printTable(table);
  const failed = done.reached - done.scored;
  if (failed > 0) terminal.line(`skipped    ${failed} of ${paths.length} images could not be read`);
  await scorer.close();
  gpu.close();
  if (done.reached < paths.length)
    throw new Stopped(`${countText(done, paths, csv)}; run the same command again for the rest`);
  if (csv !== undefined) terminal.line(`results    ${countText(done, paths, csv)}`);
  if (done.scored === 0) process.exitCode = 1;
});

async function scoreAll(
  scorer: Scorer,
  paths: readonly string[],
  signal: AbortSignal,
  take: (result: ScoredImage) => void,
): Promise<void> {
  if (signal.aborted) return;
  const bar = terminal.bar('scoring', paths.length);
  try {
    for await (const result of scorer.score(paths)) {
      take(result);
      bar.advance();
      if (signal.aborted) return;
    }
  } finally {
    bar.stop();
  }
}

function csvRow(result: ScoredImage): CsvCell[] {
  return 'score' in result ? [result.path, result.score, ''] : [result.path, '', result.error];
}

/** Ends the CSV with the images that were not reached. What goes wrong here leaves an older file as it was. */
function finishCsv(output: Output | null, rest: readonly string[], options: Options): void {
  try {
    const rows = rest.map((path) => [path, '', notScored]);
    if (rows.length > 0) output?.write(csvText(rows, { raw: options.rawCsv }));
    output?.commit();
  } catch (error) {
    output?.abandon();
    throw error;
  }
}

function countText(
  { scored }: { readonly scored: number },
  { length }: readonly string[],
  csv: string | undefined,
): string {
  const where = csv === undefined || csv === '-' ? '' : `, written to ${csv}`;
  return `${scored} of ${length} images scored${where}`;
}

function printTable(rows: readonly ScoredImage[]): void {
  const scored = rows.flatMap((row) => ('score' in row ? [row] : [])).sort((a, b) => b.score - a.score);
  const table = scored.map(({ path, score }) => [path, score.toFixed(4)]);
  process.stdout.write(`${formatTable(table, { columns: ['image', 'score'], align: 'lr' })}\n`);
  for (const row of rows) if ('error' in row) terminal.line(`skipped    ${printable(row.error)}`);
}
