import { Option } from 'commander';
import { printClasses } from '../cli/class-sheet.ts';
import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addEpochFileOption, epochFile } from '../cli/original-options.ts';
import { ScoreSheet, type SheetOrder } from '../cli/score-sheet.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import type { Reading } from '../model/class-constants.ts';
import type { Position } from '../model/prefix-tree.ts';
import { type AntonymPair, pairName, parsePair } from '../scoring/antonyms.ts';
import { Classifier } from '../scoring/classifier.ts';
import { readImageList } from '../scoring/image-list.ts';
import { findImages } from '../scoring/images.ts';
import { ScoreSummary } from '../scoring/score-summary.ts';
import { promptColumn, Scorer } from '../scoring/scorer.ts';
import { withSecondScore } from '../scoring/second-score.ts';
import { trainedSettings } from '../scoring/trained-model.ts';

interface Options {
  model?: string;
  zeroShot?: boolean;
  epochFile?: string;
  ctp: Position;
  scoreBy?: Reading;
  weights?: string;
  pairs?: readonly AntonymPair[];
  alignment?: string;
  list?: string;
  imageColumn?: string;
  promptColumn?: string;
  root?: string;
  batch?: number;
  csv?: string;
  rawCsv?: boolean;
  json?: boolean;
  sort?: SheetOrder;
  exif?: boolean;
  strict?: boolean;
}

/** The column of the second model's score. */
const alignmentColumn = 'alignment';

const command = addEpochFileOption(
  createCommand('score', 'Scores the quality of images.', [
    'node dist/score.js folder/                                      # with the embedded model: AI-generated images, 0 to 5',
    'node dist/score.js folder/ --model output/my-run --csv scores.csv',
    "find . -name '*.png' -print0 | node dist/score.js - --json      # names from stdin",
    'node dist/score.js --list prompts.csv --prompt-column prompt    # also how well each image shows its prompt',
    'node dist/score.js folder/ --weights ViT-B-16.pt --zero-shot --pairs "sharp|blurry" --pairs "natural|artificial"',
    'node dist/score.js a.jpg --model nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt',
  ]),
)
  .argument(
    '[image...]',
    'image files, folders, or quoted patterns such as "**/*.png"; - reads names from stdin',
  )
  .option(
    '--model <path>',
    'folder of a training run, its model.safetensors, a results folder of the published trainer, or embedded (default: embedded)',
  )
  .option(
    '--zero-shot',
    'use no trained model: score 0 to 1 by CLIP alone, "Good photo." against "Bad photo." (CLIP-IQA, arXiv 2207.12396)',
  )
  .option(
    '--weights <file>',
    'CLIP weights (default: those the model was trained on; with --zero-shot, the embedded ones)',
  )
  .option(
    '--pairs <texts>',
    'add a column, 0 to 1, for a pair of opposites such as "sharp|blurry" (CLIP-IQA); repeatable. One word stands for "WORD photo."',
    (text: string, pairs: readonly AntonymPair[] = []) => [...pairs, parsePair(text)],
  )
  .option(
    '--list <file>',
    `images to score, from a CSV with a header or JSON lines; a column of prompts adds ${promptColumn}, the cosine of image and prompt`,
  )
  .option(
    '--alignment <path>',
    `add the column ${alignmentColumn}: the score of a second model, trained with --target alignment`,
  )
  .option('--image-column <name>', 'with --list: column of image names (default: name, image, path or file)')
  .option('--prompt-column <name>', 'with --list: column of prompts (default: prompt, if there is one)')
  .option('--root <dir>', 'with --list: folder of the images (default: that of the list)')
  .option('--csv <file>', 'write the scores as CSV; - for stdout')
  .addOption(rawCsvOption())
  .option('--json', 'print one JSON object per line on stdout')
  .addOption(
    new Option(
      '--sort <order>',
      'by score (best first), by name (img2 before img10), or none (default: score for a table, else none)',
    ).choices(['score', 'name', 'none']),
  )
  .option(
    '--exif',
    'turn images as their EXIF orientation says (default: as stored, as the published code does)',
  )
  .option('--strict', 'exit with status 1 if any image could not be scored')
  .addOption(
    new Option('--ctp <position>', 'for a folder of the published trainer: position of the quality word')
      .choices(['end', 'middle', 'front'])
      .default('end'),
  )
  .addOption(
    new Option(
      '--score-by <reading>',
      'for a zero-shot model: by antonyms or by the quality words (default: as it was saved; with --zero-shot, antonyms)',
    ).choices(['words', 'antonyms']),
  )
  .option(
    '--batch <n>',
    `batch size of the image tower (default: ${encodeBatch}); changing it may change the last bits of a score`,
    countOption('--batch'),
  )
  .addHelpText(
    'after',
    `
Folders are searched recursively for JPEG, PNG, WebP, GIF, TIFF, AVIF and BMP, by file extension, in natural order. Names that begin
with a dot are left out; links are followed, but each file is scored once. What was left out is counted at the end.

Exit status: 0 if an image was scored; 1 if none was, if any could not be with --strict, or after an error;
130 or 143 if stopped by Ctrl-C or SIGTERM (what was scored until then is written).`,
  );

addGpuOptions(command);

await runCommand<Options & Record<string, unknown>>(command, async (options, args) => {
  const { csv, json, pairs = [], exif, strict } = options;
  if (json && csv === '-') throw new UserError('--json and --csv - both print to stdout', 'Use one of them.');
  if (options.zeroShot && options.model !== undefined)
    throw new UserError('--zero-shot uses no --model', 'Use one of them.');
  if (csv !== undefined) checkOutput(csv);
  const { paths, prompts, leftOut } = await requestedImages(options, args);
  const signal = watchInterrupts();
  const gpu = await startGpu(terminal);
  if (!options.zeroShot && (await trainedSettings(options.model ?? 'embedded')).classColumn !== '') {
    await classify(gpu, paths, options, signal);
    return;
  }
  const scorer = await openScorer(gpu, options);
  const second =
    options.alignment === undefined ? null : await openAlignment(gpu, options.alignment, options);
  const columns = [
    ...pairs.map(pairName),
    ...(prompts ? [promptColumn] : []),
    ...(second ? [alignmentColumn] : []),
  ];
  const sheet = new ScoreSheet(columns, options);
  const summary = new ScoreSummary();
  const began = performance.now();
  const finish = () => {
    sheet.finish(paths.slice(summary.reached));
    const seconds = (performance.now() - began) / 1000;
    for (const [label, text] of summary.lines(seconds)) tell(label, text);
    if (leftOut !== '') tell('left out', leftOut);
  };
  const done = () => {
    const where = csv === undefined || csv === '-' ? '' : `, written to ${csv}`;
    return `${summary.counts.scored} of ${paths.length} images scored${where}`;
  };
  try {
    const scored = scorer.score(paths, { prompts, exif, reporter: terminal });
    const results = second ? withSecondScore(scored, second.score(paths, { exif }), alignmentColumn) : scored;
    for await (const result of signal.aborted ? [] : results) {
      summary.add(result);
      sheet.take(result);
      if ('error' in result) terminal.warn(`skipped    ${result.error}`);
      if (signal.aborted) break;
    }
  } catch (error) {
    finish();
    if (csv !== undefined && summary.reached > 0) tell('results', done());
    throw error;
  }
  finish();
  const { failed, scored } = summary.counts;
  if (failed > 0) terminal.warn(`skipped    ${failed} of ${paths.length} images could not be read`);
  await scorer.close();
  await second?.close();
  gpu.close();
  if (summary.reached < paths.length) throw new Stopped(`${done()}; run the same command again for the rest`);
  if (csv !== undefined) tell('results', done());
  if (scored === 0 || (strict && failed > 0)) process.exitCode = 1;
});

function tell(label: string, text: string): void {
  terminal.line(`${label.padEnd(10)} ${text}`);
}

/** With a model that tells classes apart, each image gets its class in place of a score. */
async function classify(
  gpu: Gpu,
  paths: readonly string[],
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { model = 'embedded', pairs, alignment, exif, sort, strict } = options;
  if (pairs || alignment !== undefined || exif || sort)
    throw new UserError(
      `${model} tells classes apart: --pairs, --alignment, --exif and --sort are for scores`,
      'Omit them.',
    );
  const classifier = await Classifier.load(gpu, model, options);
  const failed = await printClasses(classifier, paths, options, signal);
  await classifier.close();
  gpu.close();
  if (failed === paths.length || (strict && failed > 0)) process.exitCode = 1;
}

interface Requested {
  readonly paths: readonly string[];
  readonly prompts?: readonly (string | undefined)[] | undefined;
  readonly leftOut: string;
}

async function requestedImages(options: Options, args: readonly string[]): Promise<Requested> {
  const { list } = options;
  if (list === undefined) {
    for (const name of ['imageColumn', 'promptColumn', 'root'] as const)
      if (options[name] !== undefined)
        throw new UserError(
          `--${name.replace('Column', '-column')} is for a list of images`,
          'Add --list FILE.',
        );
    if (args.length === 0)
      throw new UserError('no images to score', 'Name images or folders, or use --list FILE.');
    return findImages(args);
  }
  if (args.length > 0)
    throw new UserError('images are named both by --list and on the command line', 'Use one of them.');
  const { paths, prompts } = await readImageList(list, options);
  return { paths, prompts: prompts ?? undefined, leftOut: '' };
}

/** Opens the model, and says what its scores mean. */
async function openScorer(gpu: Gpu, options: Options): Promise<Scorer> {
  const { model, zeroShot, weights, scoreBy, batch, pairs } = options;
  if (zeroShot) {
    tell('model', `${weights ?? 'embedded'}, zero-shot: 0 (worst) to 1 (best)`);
    return Scorer.zeroShot(gpu, weights, { scoreBy, batch, pairs });
  }
  if (model === undefined && weights !== undefined)
    throw new UserError(
      'CLIP weights alone do not say how to score',
      'Add --zero-shot, or pass with --model a model trained on these weights.',
    );
  const scorer = await Scorer.load(gpu, model ?? 'embedded', {
    weights,
    scoreBy,
    batch,
    pairs,
    epoch: epochFile(options.epochFile),
    position: options.ctp,
  });
  tell('model', describeModel(model ?? 'embedded', scorer));
  return scorer;
}

async function openAlignment(gpu: Gpu, path: string, { batch }: Options): Promise<Scorer> {
  const scorer = await Scorer.load(gpu, path, { batch });
  const { data, target } = scorer.settings;
  if (target !== 'alignment' && data !== 'csv')
    throw new UserError(
      `${path} was trained on ${data}'s ${target || 'first score'}, not on alignment`,
      'Train one: node dist/train.js --target alignment',
    );
  tell('alignment', describeModel(path, scorer));
  return scorer;
}

function describeModel(path: string, { settings: { data, target, trainer } }: Scorer): string {
  if (path === 'embedded') return 'embedded: quality of AI-generated images, 0 (worst) to 5 (best)';
  const of = data === '' ? 'the published trainer' : `${trainer} on ${data}${target ? `, ${target}` : ''}`;
  return `${path} (${of})`;
}
