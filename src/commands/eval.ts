import { createCommand, runCommand } from '../cli/command.ts';
import { rawCsvOption } from '../cli/csv-options.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { addEpochFileOption, epochFile } from '../cli/original-options.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { formatTable } from '../cli/table.ts';
import { UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import { groupingOf, openDataset } from '../data/datasets/index.ts';
import { csvText } from '../data/formats/csv-writer.ts';
import type { Evaluation, Metrics } from '../data/metrics/evaluation.ts';
import { Classifier } from '../scoring/classifier.ts';
import { type ClassEvaluation, evaluateClasses } from '../scoring/evaluate-classes.ts';
import { evaluateModel } from '../scoring/evaluate-model.ts';
import { Scorer } from '../scoring/scorer.ts';
import { trainedSettings } from '../scoring/trained-model.ts';
import { datasetOptions, datasetSettings } from '../training/settings.ts';

interface Options {
  model: string;
  part: string;
  out?: string;
  rawCsv?: boolean;
  json?: boolean;
}

const command = addEpochFileOption(
  addSettingOptions(
    createCommand(
      'eval',
      "Evaluates a trained model on a dataset's test set. Settings default to those of its training. Writes nothing except --out.",
      [
        'node dist/eval.js --model output/my-run                       # on the dataset it was trained on',
        'node dist/eval.js --model output/my-run --data csv --csv scores.csv --root images --json',
        'node dist/eval.js --model output/my-run --out predictions.csv',
        'node dist/eval.js --model nctx16_cscFalse_ctpend/seed1 --weights ViT-B-16.pt --data agiqa-3k --root DIR',
      ],
    ),
    [...datasetSettings, 'weights', 'encodeBatch', 'position', 'scoreBy'],
    null,
  ),
)
  .requiredOption(
    '--model <path>',
    'folder of a training run, its model.safetensors, or a results folder of the published trainer',
  )
  .option('--part <name>', 'train, val or test', 'test')
  .option('--out <file>', 'write name, MOS and prediction as CSV')
  .addOption(rawCsvOption())
  .option('--json', 'print the metrics as JSON on stdout');

addGpuOptions(command);

await runCommand<Options & Record<string, string>>(command, async (options) => {
  const signal = watchInterrupts();
  const { part } = options;
  if (part !== 'train' && part !== 'val' && part !== 'test')
    throw new UserError(`--part takes train, val or test, not ${part}`);
  if (options.out) checkOutput(options.out);
  const trained = await trainedSettings(options.model);
  const settings = settingsFrom(options, trained);
  if (settings.data === '')
    throw new UserError(
      `${options.model} does not say which dataset it was trained on`,
      'Pass --data and --root.',
    );
  const dataset = await openDataset(datasetOptions(settings));
  for (const note of dataset.notes) terminal.line(`note       ${note}`);
  if (dataset.split[part].length === 0) throw new UserError(`${settings.data} has no ${part} set`);
  const ofClasses = trained.classColumn !== '';
  if (ofClasses !== (dataset.classNames !== undefined))
    throw new UserError(
      ofClasses
        ? `${options.model} tells classes apart, but the dataset has scores`
        : `${options.model} scores images, but the dataset has classes`,
      ofClasses ? 'Name the column of classes with --class-column.' : 'Omit --class-column.',
    );
  const gpu = await startGpu(terminal);
  if (ofClasses) {
    const classifier = await Classifier.load(gpu, options.model, { weights: settings.weights });
    const found = await evaluateClasses(classifier, dataset, { part, reporter: terminal, signal });
    await classifier.close();
    gpu.close();
    await writeClasses(found, options);
    return;
  }
  const scorer = await Scorer.load(gpu, options.model, {
    weights: settings.weights,
    // Not what the model was trained with: every command scores in the same batches, so that a score is the same in all.
    batch: options.encodeBatch === undefined ? undefined : settings.encodeBatch,
    epoch: epochFile(options.epochFile),
    position: settings.position,
    scoreBy: settings.scoreBy,
  });
  const { evaluation, rows, skipped } = await evaluateModel(scorer, dataset, {
    part,
    reporter: terminal,
    signal,
  });
  await scorer.close();
  gpu.close();
  for (const error of skipped) terminal.line(`skipped    ${error}`);
  if (options.out) {
    const lines = rows.map(({ name, mos, prediction }) => [name, mos, prediction]);
    const csv = csvText([['name', 'mos', 'prediction'], ...lines], { raw: options.rawCsv });
    await writeOutput(options.out, csv);
  }
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...evaluation, skipped })}\n`
      : `${evaluationTable(evaluation, groupingOf(dataset))}\n`,
  );
});

async function writeClasses(found: ClassEvaluation, { out, rawCsv, json }: Options): Promise<void> {
  const { rows, ...figures } = found;
  for (const error of found.skipped) terminal.line(`skipped    ${error}`);
  if (out) {
    const lines = rows.map((row) => [row.name, row.class, row.prediction]);
    await writeOutput(out, csvText([['name', 'class', 'prediction'], ...lines], { raw: rawCsv }));
  }
  const table = [...found.classes, { name: 'all', n: rows.length, accuracy: found.accuracy }].map(
    ({ name, n, accuracy }) => [name, n, figureText(accuracy)],
  );
  process.stdout.write(
    json
      ? `${JSON.stringify(figures)}\n`
      : `${formatTable(table, { columns: ['class', 'n', 'accuracy'], align: 'lrr' })}\n`,
  );
}

function evaluationTable({ overall, byGroup, logistic, intervals }: Evaluation, grouping: string): string {
  const row = (name: string, { n, srcc, plcc, krcc, rmse }: Metrics) => [
    name,
    String(n),
    ...[srcc, plcc, krcc, rmse].map((figure) => figureText(figure)),
  ];
  const groups = Object.entries(byGroup).filter(([name]) => name !== '');
  const { plcc4, rmse4, plcc5, rmse5 } = logistic;
  const ends = (end: 0 | 1) =>
    (['srcc', 'plcc', 'krcc', 'rmse'] as const).map((name) =>
      figureText(intervals?.[name][end] ?? Number.NaN),
    );
  return formatTable(
    [
      ...groups.map(([name, metrics]) => row(name, metrics)),
      row('all', overall),
      ['  95% from', '', ...ends(0)],
      ['  95% to', '', ...ends(1)],
      ['  4-parameter logistic', '', '', figureText(plcc4), '', figureText(rmse4)],
      ['  5-parameter logistic', '', '', figureText(plcc5), '', figureText(rmse5)],
    ],
    { columns: [grouping, 'n', 'SRCC', 'PLCC', 'KRCC', 'RMSE'], align: 'lrrrrr' },
  );
}
