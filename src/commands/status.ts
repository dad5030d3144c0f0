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
  const runs = status.task === 'train';
  return [
    ['shards', `${shards.done} of ${shards.of}`],
    [runs ? 'runs' : 'images', `${rows.done} of ${rows.of} (${share.toFixed(1)} %)`],
    ['rate', rate > 0 ? `${rate.toFixed(1)}/s over the last ten minutes` : 'nothing in the last ten minutes'],
    ...(left === 0 ? [] : [['left', left === null ? '?' : timeText(left)] as const]),
    ...(spent.shards > 0 ? [['a shard', timesOf(status)] as const] : []),
    ...(runs ? [] : [['unreadable', `${errors}`] as const]),
    ...reasons.slice(0, 5).map(([reason, count]) => ['', `${count}  ${reason}`] as const),
    ...workers.map(
      (one) =>
        [
          'worker',
          `${one.name}  ${one.shards} shards, ${one.rows} ${runs ? 'runs' : 'images'}, ${timeText(one.idle)} ago`,
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

/** What a shard takes on average, and whether its images come fast enough. */
function timesOf({ spent, task }: RunStatus): string {
  const { shards, read, decode, waited, computed, published } = spent;
  const each = (seconds: number) => `${(seconds / shards).toFixed(seconds / shards < 10 ? 2 : 0)} s`;
  if (task === 'train') return `training ${each(computed)}`;
  const idle = (100 * waited) / Math.max(waited + computed + published, 1e-9);
  return `reading ${each(read)} and decoding ${each(decode)} (all threads), GPU ${each(computed)}, writing ${each(published)}; the GPU waits for images ${idle.toFixed(0)} % of the time`;
}
