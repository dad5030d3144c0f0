import { dirname, join } from 'node:path';
import { stringify as toYaml } from 'yaml';
import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { reportRun } from '../cli/report.ts';
import { addRunOptions, type RunFlags } from '../cli/run-options.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { addQueueOptions, checkQueueFlags } from '../cli/shard-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { type SweepFlags, sweepRun } from '../cli/sweep-run.ts';
import { formatTable } from '../cli/table.ts';
import { UserError } from '../common/errors.ts';
import { figureText } from '../common/figure-text.ts';
import { commandLine } from '../common/invocation.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { clearTuning } from '../kernels/device/tuning.ts';
import { RunRecorder } from '../step/run-recorder.ts';
import { runFolder } from '../training/default-folder.ts';
import { metricsText, percent, type RunSummary, trainRun } from '../training/run.ts';
import { runSettings } from '../training/run-settings.ts';
import { parseSeeds, type SeedFigures, type SeedsSummary, trainSeeds } from '../training/seeds.ts';
import { applySettings, defaultSettings, type Settings } from '../training/settings.ts';

const command = addRunOptions(
  addSettingOptions(
    createCommand('train', 'Trains CLIP-AGIQA (or an ablation of it) on images with mean opinion scores.', [
      'node dist/train.js                          # the default: embedded small model, generated images',
      'node dist/train.js --config vit_b16_ep100 --data agiqa-3k --root DIR --weights ViT-B-16.pt',
      'node dist/train.js --data agiqa-3k --root DIR --weights ViT-B-16.pt --limit 200 --epochs 3',
      'node dist/train.js --data csv --csv scores.csv --root images --weights ViT-B-16.pt',
      'node dist/train.js --trainer coop --seeds 1,2,3   # three runs, mean ± standard deviation',
      'node dist/train.js --sweep sweep.yaml --out output/sweep   # every combination of lr: [0.001, 0.01] and seed: [1, 2]',
      'node dist/train.js --tensorboard --out output/my-run   # then: tensorboard --logdir output',
      'node dist/train.js --resume output/my-run   # continue from its last checkpoint, with its settings',
      'node dist/train.js --resume output/my-run --epochs 200   # continue for more epochs than planned',
    ]),
  ),
)
  .option(
    '--sweep <file>',
    'one run per combination of the settings in a YAML file of lists, in --out; continued by the same command',
  )
  .option(
    '--shard <part>',
    'with --sweep: only part I/N of the runs, or auto (Slurm array, Kubernetes Indexed Job)',
  )
  .option('--plan-only', 'with --sweep: write the plan and end');
addQueueOptions(command, 'with --sweep: hand out the runs')
  .option('--seeds <list>', 'one run per seed, e.g. 1,2,3, and the mean ± standard deviation')
  .option(
    '--tensorboard',
    'write a TensorBoard event file to the run folder: loss, learning rate and metrics per epoch',
  )
  .option('--step-page', 'record a training step at the end, as step.html in the run folder')
  .option('--retune', 'discard the saved timings of kernel variants for this adapter')
  .option('--json', 'print the summary as JSON on stdout');

interface Options extends RunFlags, SweepFlags {
  retune?: boolean;
  tensorboard?: boolean;
  stepPage?: boolean;
  seeds?: string;
  json?: boolean;
}

addGpuOptions(command);

await runCommand<Options & Record<string, string>>(command, async (options) => {
  if (options.sweep !== undefined) {
    await sweep(options);
    return;
  }
  for (const name of ['shard', 'planOnly', 'queue', 'detach', 'retry'] as const)
    if (options[name] !== undefined)
      throw new UserError(
        `--${name === 'planOnly' ? 'plan-only' : name} is for a sweep`,
        'Add --sweep FILE.',
      );
  const signal = watchInterrupts();
  const seeds = options.seeds === undefined ? null : parseSeeds(options.seeds);
  const { settings, resume } = await runSettings<Settings>(
    options,
    {
      command: 'train',
      seeds,
      merge: (base) => settingsFrom(options, base),
      parse: (saved, where) => applySettings(defaultSettings(), saved, where),
      folder: (given) => (seeds ? given.out || dirname(runFolder(given)) : runFolder(given)),
    },
    terminal,
  );
  const gpu = await startGpu(terminal);
  try {
    if (options.retune) await clearTuning(gpu);
    terminal.line('settings');
    terminal.line(toYaml(settings).trimEnd().replaceAll(/^/gm, '  '));
    const { overwrite, tensorboard } = options;
    const inspector = options.stepPage ? new RunRecorder(terminal, commandLine('train')) : undefined;
    const show = async (summary: RunSummary) => {
      await showRun(gpu, summary);
      await inspector?.write(summary.folder);
    };
    const how = { resume, overwrite, tensorboard, signal, reporter: terminal, inspector };
    let summary: RunSummary | SeedsSummary;
    if (seeds) {
      summary = await trainSeeds(gpu, settings, seeds, { ...how, finished: show });
      terminal.line(`\n${seedsTable(summary)}`);
      terminal.line(`results    ${join(summary.folder, 'seeds.json')}`);
    } else {
      summary = await trainRun(gpu, settings, how);
      await show(summary);
    }
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  } finally {
    gpu.close();
  }
});

async function sweep(options: Options & Record<string, string>): Promise<void> {
  const { out } = options;
  for (const name of ['seeds', 'resume', 'overwrite', 'retune', 'tensorboard', 'json'] as const)
    if (options[name] !== undefined)
      throw new UserError(
        `--sweep takes no --${name}`,
        'Omit it; a sweep resumes by itself, and merge writes a table of its runs.',
      );
  if (!out) throw new UserError('a sweep needs a folder', 'Pass --out DIR.');
  checkQueueFlags(options);
  await sweepRun(out, options, settingsFrom(options));
}

async function showRun(gpu: Gpu, summary: RunSummary): Promise<void> {
  const {
    images,
    test,
    before,
    finalEpoch,
    folder,
    seconds,
    accuracy,
    classes,
    readings,
    unreadable,
    missing,
  } = summary;
  terminal.line('');
  terminal.line(`images     ${images.train} train, ${images.val} validation, ${images.test} test`);
  const epoch = `epoch ${String(finalEpoch).padEnd(5)}`;
  if (classes) terminal.line(`${epoch}accuracy ${percent(accuracy)} of ${classes.length} classes`);
  else {
    terminal.line(`untrained  ${metricsText(before)}`);
    terminal.line(`${epoch}${metricsText(test?.overall ?? null)}`);
  }
  for (const [name, metrics] of Object.entries(readings ?? {}))
    terminal.line(`${name.padEnd(11)}${metricsText(metrics)}`);
  if (accuracy !== null && !classes) terminal.line(`accuracy   ${percent(accuracy)} of the quality classes`);
  if (missing.length > 0) terminal.line(`missing    ${missing.length}: ${missing.join(', ')}`);
  if (unreadable.length > 0) terminal.line(`unreadable ${unreadable.length}: ${unreadable.join(', ')}`);
  terminal.line(`time       ${(seconds / 60).toFixed(1)} min`);
  terminal.line(`results    ${folder}`);
  await reportRun(gpu, folder, terminal);
}

function seedsTable({ runs, mean, std }: SeedsSummary): string {
  const names = Object.keys(mean) as (keyof SeedFigures)[];
  const row = (name: string, figures: SeedFigures) => [
    name,
    ...names.map((figure) => figureText(figures[figure])),
  ];
  return formatTable([...runs.map((run) => row(String(run.seed), run)), row('mean', mean), row('±', std)], {
    columns: ['seed', ...names.map((name) => (name === 'accuracy' ? name : name.toUpperCase()))],
    align: `l${'r'.repeat(names.length)}`,
  });
}
