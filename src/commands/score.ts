import { Option } from 'commander';
import { printClasses, refuseScoreOptions } from '../cli/class-sheet.ts';
import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { addExplainOptions, checkExplainFlags, explainFlagsOf } from '../cli/explain-options.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addEpochFileOption } from '../cli/original-options.ts';
import { type ScoreFlags, scoreRun, specOf } from '../cli/score-run.ts';
import { ScoreSheet } from '../cli/score-sheet.ts';
import { addShardOptions, checkShardFlags, refuseObjects } from '../cli/shard-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { Stopped, UserError } from '../common/errors.ts';
import { checkOutput } from '../common/files.ts';
import type { ScoredFile } from '../explain/explain-images.ts';
import { prepareExplanations } from '../explain/explanation-files.ts';
import { encodeBatch } from '../features/encode-batch.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { parsePair } from '../scoring/antonyms.ts';
import { Classifier } from '../scoring/classifier.ts';
import { readImageList } from '../scoring/image-list.ts';
import { findImages } from '../scoring/images.ts';
import { alignmentColumn, openScoring, scoreColumns } from '../scoring/open-scoring.ts';
import { ScoreSummary } from '../scoring/score-summary.ts';
import { promptColumn } from '../scoring/scorer.ts';
import { trainedSettings } from '../scoring/trained-model.ts';

const command = addEpochFileOption(
  createCommand('score', 'Scores the quality of images.', [
    'node dist/score.js folder/                                      # with the embedded model: AI-generated images, 0 to 5',
    'node dist/score.js folder/ --model output/my-run --csv scores.csv',
    "find . -name '*.png' -print0 | node dist/score.js - --json      # names from stdin",
    'node dist/score.js --list prompts.csv --prompt-column prompt    # also how well each image shows its prompt',
    'node dist/score.js folder/ --weights ViT-B-16.pt --zero-shot --pairs "sharp|blurry" --pairs "natural|artificial"',
    'node dist/score.js folder/ --out output/scores/                   # resumable, a file a shard; also for many machines',
    'node dist/score.js folder/ --explain output/why                   # a page: which parts raise a score, which lower it',
    'node dist/score.js a.jpg --model nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt',
  ]),
)
  .argument(
    '[image...]',
    'image files, folders, or quoted patterns such as "**/*.png"; - reads names from stdin; with --out also .tar files and s3:// (docs/scale.md)',
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
    (text: string, pairs: readonly string[] = []) => {
      parsePair(text);
      return [...pairs, text];
    },
  )
  .option(
    '--doubt',
    'add columns that say how sure a score is, as far as the model was trained to: uncertainty, spreads, distance from the training images, probabilities of the quality words',
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

addExplainOptions(command);
addShardOptions(command, ['csv', 'jsonl', 'parquet']);
addGpuOptions(command);

await runCommand<ScoreFlags & Record<string, unknown>>(command, async (options, args) => {
  const { csv, json, exif, strict } = options;
  checkShardFlags(options);
  checkExplainFlags(options);
  if (json && csv === '-') throw new UserError('--json and --csv - both print to stdout', 'Use one of them.');
  if (options.zeroShot && options.model !== undefined)
    throw new UserError('--zero-shot uses no --model', 'Use one of them.');
  if (csv !== undefined) checkOutput(csv);
  if (options.out !== undefined) {
    await scoreRun(options.out, options, args);
    return;
  }
  refuseObjects([...args, ...(options.list === undefined ? [] : [options.list]), options.root ?? '']);
  const { paths, prompts, leftOut } = await requestedImages(options, args);
  const signal = watchInterrupts();
  const gpu = await startGpu(terminal);
  if (!options.zeroShot && (await trainedSettings(options.model ?? 'embedded')).classColumn !== '') {
    if (options.explain !== undefined)
      throw new UserError('this model tells classes apart, and --explain is for scores', 'Omit --explain.');
    if (prompts) tell('note', 'this model tells classes apart: the prompts of the list are not used');
    await classify(gpu, paths, options, signal);
    return;
  }
  const spec = await specOf(options);
  const scoring = await openScoring(gpu, spec);
  for (const [label, text] of scoring.about) tell(label, text);
  const columns = scoreColumns(spec, prompts !== undefined);
  const { explain } = options;
  if (explain !== undefined) prepareExplanations(explain);
  const scored: ScoredFile[] = [];
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
    const results = scoring.score(paths, { prompts, exif, reporter: terminal });
    for await (const result of signal.aborted ? [] : results) {
      summary.add(result);
      sheet.take(result);
      if ('error' in result) terminal.warn(`skipped    ${result.error}`);
      else if (explain !== undefined) scored.push({ path: result.path, score: result.score });
      if (signal.aborted) break;
    }
  } catch (error) {
    finish();
    if (csv !== undefined && summary.reached > 0) tell('results', done());
    throw error;
  }
  finish();
  const { failed, scored: count } = summary.counts;
  if (failed > 0) terminal.warn(`skipped    ${failed} of ${paths.length} images could not be read`);
  if (explain !== undefined && !signal.aborted) {
    const { explainRun } = await import('../cli/explain-run.ts'); // with what draws charts
    const how = { ...explainFlagsOf(options, explain), about: scoring.about, reporter: terminal, signal };
    await explainRun(scoring.pixels, scored, how);
  }
  await scoring.close();
  gpu.close();
  if (summary.reached < paths.length) throw new Stopped(`${done()}; run the same command again for the rest`);
  if (csv !== undefined) tell('results', done());
  if (count === 0 || (strict && failed > 0)) process.exitCode = 1;
});

function tell(label: string, text: string): void {
  terminal.line(`${label.padEnd(10)} ${text}`);
}

/** With a model that tells classes apart, each image gets its class in place of a score. */
async function classify(
  gpu: Gpu,
  paths: readonly string[],
  options: ScoreFlags,
  signal: AbortSignal,
): Promise<void> {
  const { model = 'embedded', strict } = options;
  refuseScoreOptions(model, options);
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

async function requestedImages(options: ScoreFlags, args: readonly string[]): Promise<Requested> {
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
  const { paths, prompts, note } = await readImageList(list, options);
  if (note !== undefined) tell('note', note);
  return { paths, prompts: prompts ?? undefined, leftOut: '' };
}
