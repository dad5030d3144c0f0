import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { stepText } from '../cli/step-table.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import { commandLine } from '../common/invocation.ts';
import { figuresOf, type Grouping, keys, type SortOrder, sortOrders } from '../step/figures.ts';
import { openStep } from '../step/open-step.ts';
import { recordStep } from '../step/record-step.ts';
import type { StepData } from '../step/step-data.ts';

const groupings = Object.keys(keys) as Grouping[];

const command = addSettingOptions(
  createCommand(
    'step',
    'Records one training step as it is taken, and shows it: every op and gradient, dispatch, buffer and value.',
    [
      'node dist/step.js                             # the default training, by kernel',
      'node dist/step.js --table kernel --sort wasted # where the time goes, in the terminal',
      'node dist/step.js --data agiqa-3k --root DIR --weights ViT-B-16.pt --json vit-b16.json',
    ],
  ),
)
  .option('--json <file>', 'write the recording as JSON; - for standard output')
  .addOption(
    new Option('--table [by]', 'print a table of the dispatches').choices(groupings).preset('kernel'),
  )
  .addOption(new Option('--sort <by>', 'order of the table').choices(sortOrders).default('time'));

interface Options {
  json?: string;
  table?: Grouping;
  sort: SortOrder;
}

await runCommand<Options & Record<string, string>>(command, async (options) => {
  const signal = watchInterrupts();
  const { json, sort } = options;
  const table = options.table ?? (json === undefined ? 'kernel' : undefined);
  if (json !== undefined) checkOutput(json);
  const settings = settingsFrom({ ...options, json: undefined });
  const gpu = await startGpu(terminal);
  let data: StepData;
  try {
    const step = await openStep(gpu, settings, { reporter: terminal, signal });
    try {
      ({ data } = await recordStep({ ...step, settings, command: commandLine('step') }, terminal));
    } finally {
      await step.close();
    }
  } finally {
    gpu.close();
  }
  if (json !== undefined) await writeOutput(json, `${JSON.stringify(data)}\n`);
  if (table !== undefined) process.stdout.write(`${stepText(data, figuresOf(data), table, sort)}\n`);
});
