import { createCommand, runCommand } from '../cli/command.ts';
import { timeText } from '../cli/progress.ts';
import { terminal } from '../cli/start.ts';
import { writeOutput } from '../common/files.ts';
import { printable } from '../common/printable.ts';
import { statusPage } from '../report/status-page.ts';
import { readPlan } from '../scale/plan.ts';
import { metricsText, type RunStatus, statusOf } from '../scale/status.ts';

const command = createCommand('status', 'Says how far a run of shards has come.', [
  'node dist/status.js output/scores',
  'node dist/status.js output/scores --html progress.html',
  'node dist/status.js output/scores --metrics scores.prom      # for the textfile collector of node_exporter',
])
  .argument('<run>', 'the folder given as --out')
  .option('--json', 'print it as JSON on stdout')
  .option('--html <file>', 'write it as a page')
  .option('--metrics <file>', 'write it in the text format of Prometheus; - for stdout')
  .addHelpText(
    'after',
    '\nExit status: 0 if every shard is there, 75 if some are missing, 1 after an error.',
  );

interface Options {
  json?: boolean;
  html?: string;
  metrics?: string;
}

await runCommand<Options & Record<string, unknown>>(command, async (options, [folder]) => {
  const status = await statusOf(await readPlan(folder!));
  if (options.html !== undefined) {
    await writeOutput(options.html, statusPage(status, new Date()));
    if (options.html !== '-') terminal.line(`page       ${options.html}`);
  }
  if (options.metrics !== undefined) await writeOutput(options.metrics, metricsText(status));
  if (options.json) process.stdout.write(`${JSON.stringify(status)}\n`);
  else if (options.html === undefined && options.metrics === undefined)
    for (const [label, text] of linesOf(status))
      process.stdout.write(`${label.padEnd(10)} ${printable(text)}\n`);
  if (status.shards.done < status.shards.of) process.exitCode = 75;
});

function linesOf(status: RunStatus): (readonly [string, string])[] {
  const { shards, rows, rate, left, spent, errors, reasons, workers, adapters } = status;
  const share = rows.of === 0 ? 0 : (100 * rows.done) / rows.of;
  const total = spent.waited + spent.computed + spent.published;
  const part = (seconds: number) => `${((100 * seconds) / Math.max(total, 1e-9)).toFixed(0)} %`;
  return [
    ['shards', `${shards.done} of ${shards.of}`],
    ['images', `${rows.done} of ${rows.of} (${share.toFixed(1)} %)`],
    ['rate', rate > 0 ? `${rate.toFixed(1)}/s over the last ten minutes` : 'nothing in the last ten minutes'],
    ...(left === 0 ? [] : [['left', left === null ? '?' : timeText(left)] as const]),
    ...(total > 0
      ? [
          [
            'time',
            `waiting for images ${part(spent.waited)}, computing ${part(spent.computed)}, publishing ${part(spent.published)}`,
          ] as const,
        ]
      : []),
    ['unreadable', `${errors}`],
    ...reasons.slice(0, 5).map(([reason, count]) => ['', `${count}  ${reason}`] as const),
    ...workers.map(
      (one) =>
        [
          'worker',
          `${one.name}  ${one.shards} shards, ${one.rows} images, ${timeText(one.idle)} ago`,
        ] as const,
    ),
    ...(adapters.length > 1
      ? [
          [
            'warning',
            `results of ${adapters.length} kinds of adapter, which may differ in the last bits: ${adapters.join('; ')}`,
          ] as const,
        ]
      : []),
  ];
}
