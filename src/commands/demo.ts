import { createCommand, runCommand } from '../cli/command.ts';
import { addGpuOptions } from '../cli/gpu-options.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { reportRun } from '../cli/report.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { formatTable } from '../cli/table.ts';
import { UserError } from '../common/errors.ts';
import { commandLine } from '../common/invocation.ts';
import { openDataset } from '../data/datasets/index.ts';
import { evaluateModel } from '../scoring/evaluate-model.ts';
import { Scorer } from '../scoring/scorer.ts';
import { RunRecorder } from '../step/run-recorder.ts';
import { checkChanges, savedSettings, withAbsolutePaths } from '../training/resume.ts';
import { metricsText, trainRun } from '../training/run.ts';
import { isRun } from '../training/run-folder.ts';
import {
  applySettings,
  datasetOptions,
  defaultSettings,
  type Settings,
  settingNames,
} from '../training/settings.ts';

/** Where a demo goes unless --out says otherwise. */
const ownFolder = 'output/demo';

/** What differs from other runs where the command line does not say otherwise. */
const own = { config: 'demo', out: ownFolder };

const command = addSettingOptions(
  createCommand(
    'demo',
    'Trains CLIP-AGIQA on the embedded model with generated images, then scores some of them.',
    [
      'npm run demo                                     # installs what is missing and builds first',
      'node dist/demo.js --epochs 100',
      'node dist/demo.js --seed 2 --out output/demo-2   # beside the first; then: node dist/compare.js output/demo*',
    ],
  ),
  settingNames,
  settingsFrom(own),
).option(
  '--overwrite',
  'replace the run that is in the folder (always done in the default folder of the demo)',
);

/** Test images shown at the end. */
const shown = 10;

addGpuOptions(command);

await runCommand<Record<string, string> & { overwrite?: boolean }>(command, async (options) => {
  const signal = watchInterrupts();
  const settings = settingsFrom({ ...own, ...options });
  const overwrite = options.overwrite || (await isDemo(settings));
  const gpu = await startGpu(terminal);
  terminal.line(
    'The images are generated scenes, distorted at known levels; every fifth scene is in the test set.',
  );
  const inspector = new RunRecorder(terminal, commandLine('demo'));
  const { before, test, folder, seconds } = await trainRun(gpu, settings, {
    inspector,
    resume: false,
    overwrite,
    signal,
    reporter: terminal,
  });
  const dataset = await openDataset(datasetOptions(settings));
  const scorer = await Scorer.load(gpu, folder);
  const some = { ...dataset, split: { ...dataset.split, test: dataset.split.test.slice(0, shown) } };
  const { rows } = await evaluateModel(scorer, some, { reporter: terminal, signal });
  await scorer.close();
  const report = await reportRun(gpu, folder, terminal);
  gpu.close();
  const page = await inspector.write(folder);
  const table = rows.map(({ name, mos, prediction }) => [name, mos.toFixed(2), prediction.toFixed(2)]);
  process.stdout.write(
    `\n${formatTable(table, { columns: ['test image', 'MOS', 'score'], align: 'lrr' })}\n\n`,
  );
  process.stdout.write(`before training  ${metricsText(before)}\n`);
  process.stdout.write(`after training   ${metricsText(test?.overall ?? null)}\n`);
  process.stdout.write(`results in ${folder}, ${(seconds / 60).toFixed(1)} minutes\n`);
  if (report) process.stdout.write(`report           ${report}\n`);
  if (page) process.stdout.write(`a training step  ${page}\n`);
  process.stdout.write(
    'score your own   node dist/score.js IMAGE…   (with the embedded model, trained on AI-generated images and their ratings)\n',
  );
  process.stdout.write(
    `                 node dist/score.js IMAGE… --model ${folder}   (with this one, which has seen drawn scenes only)\n`,
  );
});

/** Whether what stands in the demo's own folder is a demo of these settings, which would come out the same again. */
async function isDemo(settings: Settings): Promise<boolean> {
  if (settings.out !== ownFolder || !isRun(ownFolder)) return false;
  try {
    const saved = applySettings(defaultSettings(), await savedSettings(ownFolder, 'train'), ownFolder);
    checkChanges({ ...saved, epochs: settings.epochs }, withAbsolutePaths(settings), ownFolder);
    return saved.epochs === settings.epochs;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}
