import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createCommand, runCommand } from '../cli/command.ts';
import { evaluationTables } from '../cli/evaluation-table.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { UserError } from '../common/errors.ts';
import { writeOutput } from '../common/files.ts';
import { commandLine, shellWord } from '../common/invocation.ts';
import { evaluateSettings } from '../evaluation/evaluation.ts';
import { protocolNames, protocols } from '../evaluation/protocols.ts';
import { isEvaluation } from '../evaluation/results-folder.ts';
import { type EvaluationPlan, sweep } from '../evaluation/sweep.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { parsePart } from '../scale/partition.ts';
import { parseSeeds } from '../training/seeds.ts';
import {
  applySettings,
  datasetSettings,
  defaultSettings,
  type Settings,
  settingNames,
} from '../training/settings.ts';

/** Fold by fold other than in a run: seeds and shots are lists here. */
const own = ['seed', 'shots'];

const command = addSettingOptions(
  createCommand(
    'evaluate',
    'Trains and tests by protocols that say how well a model does on what it has not seen: other prompts, other generators, another dataset. One table with intervals, per-image predictions, the splits, and a page. Run the same command again to continue.',
    [
      'node dist/evaluate.js --config small_clip_quality --root AGIQA-3K',
      'node dist/evaluate.js --config small_clip_quality --root AGIQA-3K --protocols prompt,generator,within --seeds 1,2,3',
      'node dist/evaluate.js --config small_clip_quality --root AGIQA-3K --against small_clip   # paired differences of two presets',
      'node dist/evaluate.js --config vit_b16 --data agiqa-3k --root AGIQA-3K --weights ViT-B-16.pt --cross-data aigciqa2023 --cross-root AIGCIQA2023',
      'node dist/evaluate.js --data csv --csv scores.csv --root images --protocols prompt --folds 10 --json',
    ],
  ),
  settingNames.filter((name) => !own.includes(name)),
)
  .option(
    '--protocols <list>',
    `all (those that the dataset allows), or some of ${protocolNames.map((name) => `${name} (${protocols[name]})`).join(', ')}`,
    'all',
  )
  .option('--folds <k>', 'folds of prompt', countOption('--folds'), 5)
  .option('--seeds <list>', 'seeds of the training, e.g. 1,2,3: figures are means over them', '1')
  .option('--shots <list>', 'training images of each quality class of few', '1,4,16')
  .option(
    '--generators <unit>',
    'whole: what comes before the first underscore of an image name; settings: before the last, so that e.g. sd1.5_lowstep is left out by itself',
    'whole',
  )
  .option('--cross-data <name>', 'dataset that cross tests with')
  .option('--cross-root <dir>', 'its folder')
  .option('--cross-csv <file>', 'its CSV file, with --cross-data csv')
  .option('--cross-target <name>', 'its score')
  .option(
    '--against <what>',
    'another evaluation (its folder), or settings (a preset or YAML file) that are evaluated first: paired differences',
  )
  .option(
    '--shard <part>',
    'only part I/N of the folds, or auto (Slurm array, Kubernetes Indexed Job), and no table: the same command without it writes that once all parts are done (docs/scale.md)',
  )
  .option('--resamples <n>', 'bootstrap resamples', countOption('--resamples'), 1000)
  .option('--json', 'print the results as JSON on stdout');

interface Options {
  protocols: string;
  folds: number;
  seeds: string;
  shots: string;
  generators: string;
  crossData?: string;
  crossRoot?: string;
  crossCsv?: string;
  crossTarget?: string;
  against?: string;
  shard?: string;
  resamples: number;
  json?: boolean;
}

addGpuOptions(command);

await runCommand<Options & Record<string, unknown>>(command, async (options) => {
  const signal = watchInterrupts();
  const { seeds: seedList, shots: shotList, ...settingOptions } = options;
  const settings = settingsFrom(settingOptions);
  const plan: EvaluationPlan = {
    protocols: options.protocols,
    folds: foldsOf(options.folds),
    seeds: parseSeeds(seedList),
    shots: parseShots(shotList),
    generators: unitOf(options.generators),
    cross: crossSettings(options),
  };
  let gpu: Gpu | undefined;
  const how = {
    openGpu: async () => (gpu ??= await startGpu(terminal)),
    reporter: terminal,
    signal,
    resumeCommand: [commandLine('evaluate'), ...process.argv.slice(2).map(shellWord)].join(' '),
    resamples: options.resamples,
  };
  try {
    if (options.shard !== undefined) {
      if (options.against !== undefined)
        throw new UserError('--shard trains folds, and --against compares them', 'Use one of them.');
      const { outcomes, total, folder } = await sweep(settings, plan, {
        ...how,
        part: parsePart(options.shard),
      });
      terminal.line(`results    ${outcomes.length} of ${total} folds are in ${folder}`);
      return;
    }
    const against = await otherFolder(options.against, settings, plan, how);
    const result = await evaluateSettings(settings, plan, { ...how, against });
    terminal.line(`\n${evaluationTables(result)}\n`);
    const page = join(result.folder, 'report.html');
    // Loaded when it is needed: the plotting library would slow the start of every command.
    const { evaluationPage } = await import('../report/evaluation-page.ts');
    await writeOutput(page, evaluationPage(result));
    terminal.line(`results    ${result.folder}`);
    terminal.line(`report     ${page}`);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    gpu?.close();
  }
});

/** The folder of the evaluation to compare with; settings that are named are evaluated first, on the same data. */
async function otherFolder(
  against: string | undefined,
  settings: Settings,
  plan: EvaluationPlan,
  how: Parameters<typeof evaluateSettings>[2],
): Promise<string | undefined> {
  if (against === undefined || (existsSync(against) && isEvaluation(against))) return against;
  const same = Object.fromEntries(datasetSettings.map((name) => [name, settings[name]]));
  const other = applySettings(
    settingsFrom({ config: against }),
    { ...same, cache: settings.cache, out: '' },
    against,
  );
  terminal.line(`against    ${against}`);
  return (await evaluateSettings(other, plan, how)).folder;
}

function foldsOf(folds: number): number {
  if (folds >= 2) return folds;
  throw new UserError('--folds takes an integer of at least 2', 'For example, --folds 5.');
}

function parseShots(text: string): number[] {
  const shots = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : 0));
  if (
    shots.every((count) => count >= 1 && Number.isSafeInteger(count)) &&
    new Set(shots).size === shots.length
  )
    return shots;
  throw new UserError(
    `--shots takes distinct integers of at least 1, not ${text}`,
    'For example, --shots 1,4,16.',
  );
}

function unitOf(text: string): EvaluationPlan['generators'] {
  if (text === 'whole' || text === 'settings') return text;
  throw new UserError(`--generators must be whole or settings, not ${text}`);
}

function crossSettings({ crossData, crossRoot, crossCsv, crossTarget }: Options): Settings | undefined {
  if (crossData === undefined) {
    const given = crossRoot ?? crossCsv ?? crossTarget;
    if (given !== undefined)
      throw new UserError('--cross-root needs --cross-data', 'Name the other dataset.');
    return undefined;
  }
  const values = { data: crossData, root: crossRoot, csv: crossCsv, target: crossTarget };
  return applySettings(defaultSettings(), values, 'command line');
}
