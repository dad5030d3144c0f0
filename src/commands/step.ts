import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { comparisonText, stepText } from '../cli/step-table.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import { commandLine } from '../common/invocation.ts';
import { csvOf, traceOf } from '../step/export-step.ts';
import { figuresOf, type Grouping, keys, type SortOrder, sortOrders } from '../step/figures.ts';
import { openStep } from '../step/open-step.ts';
import { readStep } from '../step/read-step.ts';
import { recordStep } from '../step/record-step.ts';
import type { StepData } from '../step/step-data.ts';
import { writeStepPage } from '../step/write-page.ts';

const groupings = Object.keys(keys) as Grouping[];

const command = addSettingOptions(
  createCommand(
    'step',
    'Records one training step as it is taken, and shows it: every op and gradient, dispatch, buffer and value.',
    [
      'node dist/step.js                             # the default training; then open step.html',
      'node dist/step.js --table kernel --sort wasted # where the time goes, in the terminal',
      'node dist/step.js --data agiqa-3k --root DIR --weights ViT-B-16.pt --page vit-b16.html',
      'node dist/step.js --json before.json           # then, after a change: --compare before.json',
    ],
  ),
)
  .option('--page <file>', 'the page to write (default: step.html, where nothing else is asked for)')
  .option('--json <file>', 'write the recording as JSON; - for standard output')
  .option('--trace <file>', "write it in Chrome's trace format, for ui.perfetto.dev")
  .option('--dispatches <file>', 'write them as CSV, a line each')
  .option('--rounds <n>', 'replays to time, of which the median counts', countOption('--rounds'), 30)
  .option('--compare <file>', 'show an earlier recording (JSON) beside it, on the page and in the table')
  .addOption(
    new Option('--table [by]', 'print a table of the dispatches').choices(groupings).preset('kernel'),
  )
  .addOption(new Option('--sort <by>', 'order of the table').choices(sortOrders).default('time'));

interface Options {
  page?: string;
  json?: string;
  trace?: string;
  dispatches?: string;
  compare?: string;
  table?: Grouping;
  rounds: number;
  sort: SortOrder;
}

await runCommand<Options & Record<string, unknown>>(command, async (options) => {
  const signal = watchInterrupts();
  const { json, trace, dispatches, table, sort, rounds } = options;
  const asked = [json, trace, dispatches, table].some((one) => one !== undefined);
  const page = options.page ?? (asked ? undefined : 'step.html');
  for (const path of [page, json, trace, dispatches]) if (path !== undefined) checkOutput(path);
  const other = options.compare === undefined ? null : await readStep(options.compare);
  const settings = settingsFrom(options);
  const gpu = await startGpu(terminal);
  let data: StepData;
  try {
    const step = await openStep(gpu, settings, { reporter: terminal, signal });
    try {
      const subject = { ...step, settings, command: commandLine('step') };
      ({ data } = await recordStep(subject, terminal, { rounds }));
    } finally {
      await step.close();
    }
  } finally {
    gpu.close();
  }
  if (json !== undefined) await writeOutput(json, `${JSON.stringify(data)}\n`);
  if (trace !== undefined) await writeOutput(trace, traceOf(data));
  if (dispatches !== undefined) await writeOutput(dispatches, csvOf(data));
  if (page !== undefined) {
    await writeStepPage(page, data, other);
    terminal.line(`page       ${page}`);
  }
  if (other && table !== undefined) process.stdout.write(`${comparisonText(other, data)}\n\n`);
  if (table !== undefined) process.stdout.write(`${stepText(data, figuresOf(data), table, sort)}\n`);
});
