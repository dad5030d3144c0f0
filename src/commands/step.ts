import { Option } from 'commander';
import { createCommand, runCommand } from '../cli/command.ts';
import { watchInterrupts } from '../cli/interrupt.ts';
import { countOption } from '../cli/numbers.ts';
import { addSettingOptions, settingsFrom } from '../cli/settings-options.ts';
import { startGpu, terminal } from '../cli/start.ts';
import { comparisonText, stepText } from '../cli/step-table.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import { commandLine } from '../common/invocation.ts';
import { writeSafetensors } from '../data/formats/safetensors-file.ts';
import { type CaptureQuery, parseCapture } from '../step/capture-query.ts';
import { capture } from '../step/capture-tensors.ts';
import { csvOf, traceOf } from '../step/export-step.ts';
import { figuresOf, type Grouping, keys, type SortOrder, sortOrders } from '../step/figures.ts';
import { openStep } from '../step/open-step.ts';
import { readStep } from '../step/read-step.ts';
import { recordInNode } from '../step/record-in-node.ts';
import type { RecordedStep } from '../step/record-step.ts';
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
      'node dist/step.js --capture "text.blocks.*.attn :grad" --capture head.1   # capture.safetensors',
      'node dist/step.js --json before.json           # then, after a change: --compare before.json',
    ],
  ),
)
  .option('--page <file>', 'the page to write (default: step.html, where nothing else is asked for)')
  .option('--json <file>', 'write the recording as JSON; - for standard output')
  .option('--trace <file>', "write it in Chrome's trace format, for ui.perfetto.dev")
  .option('--dispatches <file>', 'write them as CSV, a line each')
  .option(
    '--capture <query>',
    'write values of the step by name, as "text.blocks.*.attn :grad"; may be given several times',
    (query: string, before: readonly CaptureQuery[]) => [...before, parseCapture(query)],
    [],
  )
  .option('--capture-file <file>', 'safetensors file for what is captured', 'capture.safetensors')
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
  capture: readonly CaptureQuery[];
  captureFile: string;
  sort: SortOrder;
}

await runCommand<Options & Record<string, unknown>>(command, async (options) => {
  const signal = watchInterrupts();
  const { json, trace, dispatches, table, sort, rounds, capture: queries, captureFile } = options;
  const asked = queries.length > 0 || [json, trace, dispatches, table].some((one) => one !== undefined);
  const page = options.page ?? (asked ? undefined : 'step.html');
  const captured = queries.length > 0 ? captureFile : undefined;
  for (const path of [page, json, trace, dispatches, captured]) if (path !== undefined) checkOutput(path);
  const other = options.compare === undefined ? null : await readStep(options.compare);
  const settings = settingsFrom(options);
  const gpu = await startGpu(terminal);
  let step: RecordedStep;
  try {
    const opened = await openStep(gpu, settings, { reporter: terminal, signal });
    try {
      const subject = { ...opened, settings, command: commandLine('step') };
      step = await recordInNode(subject, terminal, { rounds });
    } finally {
      await opened.close();
    }
  } finally {
    gpu.close();
  }
  const { data } = step;
  if (captured !== undefined) {
    const tensors = capture(queries, step.capturable);
    await writeSafetensors(captured, tensors);
    terminal.line(`captured   ${tensors.size} tensors: ${captured}`);
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
