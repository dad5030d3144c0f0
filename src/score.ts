import { once } from 'node:events';
import { createWriteStream, renameSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { Option } from 'commander';
import { stringify } from 'csv-stringify/sync';
import { createCommand, runCommand } from './cli/command.ts';
import { countOption } from './cli/numbers.ts';
import { addEpochFileOption, epochFile } from './cli/original-options.ts';
import { startGpu, terminal } from './cli/start.ts';
import { formatTable } from './cli/table.ts';
import { UserError } from './common/errors.ts';
import type { Position } from './model/prompts.ts';
import { findPictures } from './scoring/pictures.ts';
import { type ScoredPicture, Scorer } from './scoring/scorer.ts';
import type { Reading } from './training/class-constants.ts';

interface Options {
  model: string;
  epochFile?: string;
  ctp: Position;
  scoreBy?: Reading;
  weights?: string;
  batch?: number;
  csv?: string;
  json?: boolean;
}

const command = addEpochFileOption(
  createCommand('score', 'Scores pictures, or all pictures of a folder, with a trained model.', [
    'node dist/score.js picture.png --model output/my-run',
    'node dist/score.js folder/ --model output/my-run --csv scores.csv',
    'node dist/score.js a.jpg b.jpg --model model.safetensors --weights ViT-B-16.pt --json',
    'node dist/score.js a.jpg --model nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt',
  ]),
)
  .argument('<picture...>', 'picture files, or folders of them')
  .requiredOption(
    '--model <path>',
    'run folder of a training, its model.safetensors, or a results folder of the published trainer',
  )
  .option('--weights <file>', 'CLIP weights (default: those the model was trained on)')
  .addOption(
    new Option('--ctp <position>', 'of a folder of the published trainer: place of the quality word')
      .choices(['end', 'middle', 'front'])
      .default('end'),
  )
  .addOption(
    new Option('--score-by <reading>', 'of a zero-shot model (default: the one it was made with)').choices([
      'words',
      'antonyms',
    ]),
  )
  .option('--batch <n>', 'pictures the vision tower takes at once', countOption('--batch'))
  .option('--csv <file>', 'write the scores as CSV, row by row as they come')
  .option('--json', 'print one JSON object a line on stdout');

/** Rows go to FILE.part as they come and the file gets its name at the end; Ctrl-C leaves what was written under that name too. */
async function csvWriter(path: string) {
  const part = `${path}.part`;
  const refuse = (error: unknown) =>
    new UserError(
      `${path} cannot be written (${(error as Error).message})`,
      'Choose another place with --csv.',
    );
  const open = async () => {
    await mkdir(dirname(path), { recursive: true });
    const opening = createWriteStream(part);
    await once(opening, 'open');
    return opening;
  };
  const stream = await open().catch((error) => {
    throw refuse(error);
  });
  let failure: Error | undefined; // a full disk shows only here
  stream.on('error', (error) => {
    failure = error;
  });
  stream.write(stringify([['path', 'score', 'error']]));
  return {
    row: (result: ScoredPicture) => {
      if (failure) throw refuse(failure);
      const score = 'score' in result ? String(result.score) : '';
      stream.write(stringify([[result.path, score, 'error' in result ? result.error : '']]));
    },
    close: async () => {
      stream.end();
      await finished(stream).catch((error) => {
        throw refuse(error);
      });
      renameSync(part, path);
    },
  };
}

await runCommand<Options & Record<string, unknown>>(command, async (options, args) => {
  const paths = findPictures(args);
  const gpu = await startGpu(terminal);
  const scorer = await Scorer.load(gpu, options.model, {
    weights: options.weights,
    epoch: epochFile(options.epochFile),
    position: options.ctp,
    scoreBy: options.scoreBy,
    batch: options.batch ?? Math.min(8, paths.length),
  });
  const csv = options.csv ? await csvWriter(options.csv) : null;
  const rows: ScoredPicture[] = [];
  const keepRows = !csv && !options.json; // a table needs them all; the other forms stream
  let stopped = false;
  process.once('SIGINT', () => {
    stopped = true;
  });
  let failed = 0;
  const bar = terminal.bar('scoring', paths.length);
  for await (const result of scorer.score(paths)) {
    if ('error' in result) failed++;
    csv?.row(result);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (keepRows) rows.push(result);
    bar.advance();
    if (stopped) break;
  }
  bar.stop();
  await csv?.close();
  if (keepRows) {
    const scored = rows.flatMap((row) => ('score' in row ? [row] : [])).sort((a, b) => b.score - a.score);
    const table = scored.map(({ path, score }) => [path, score.toFixed(4)]);
    process.stdout.write(`${formatTable(table, { columns: ['picture', 'score'], align: 'lr' })}\n`);
    for (const row of rows) if ('error' in row) terminal.line(`skipped    ${row.error}`);
  }
  if (failed > 0) terminal.line(`skipped    ${failed} of ${paths.length} pictures could not be read`);
  await scorer.close();
  gpu.close();
  if (stopped) {
    terminal.line('stopped    the scores so far are written');
    process.exit(130);
  }
  if (failed === paths.length) process.exitCode = 1;
});
