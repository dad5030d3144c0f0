import { createCommand, runCommand } from '../cli/command.ts';
import { countOption } from '../cli/numbers.ts';
import { formatTable } from '../cli/table.ts';
import { optionFlag } from '../common/fields.ts';
import { figureText, meanText } from '../common/figure-text.ts';
import { checkOutput, writeOutput } from '../common/files.ts';
import type { RunsCompared } from '../report/compare-runs.ts';

interface Options {
  out: string;
  baseline?: string;
  resamples: number;
  json?: boolean;
}

const command = createCommand(
  'compare',
  'Compares training runs: settings that differ, metrics with intervals, curves in one figure, and paired differences from a baseline. Writes one HTML page and prints a table.',
  [
    'node dist/compare.js output/*',
    'node dist/compare.js output/agiqa-3k --baseline output/agiqa-3k/linear --out linear.html',
    'node dist/compare.js output/runs/seed1 output/runs/seed2 --json',
  ],
)
  .argument('<folder...>', 'folders of finished training runs, or folders that hold them')
  .option('--out <file>', 'page to write; - for stdout', 'compare.html')
  .option('--baseline <run>', 'run or group that the others are compared with (default: the first)')
  .option('--resamples <n>', 'resamples of the paired bootstrap', countOption('--resamples'), 1000)
  .option('--json', 'print the comparison as JSON instead, and write no page');

await runCommand<Options & Record<string, unknown>>(command, async (options, folders) => {
  const { out, baseline, resamples, json } = options;
  if (!json) checkOutput(out);
  const { compareRuns } = await import('../report/compare-runs.ts');
  const compared = await compareRuns(folders, {
    resamples,
    ...(baseline === undefined ? {} : { baseline }),
  });
  if (json) {
    process.stdout.write(`${JSON.stringify(jsonOf(compared))}\n`);
    return;
  }
  const { comparePage } = await import('../report/compare-page.ts');
  await writeOutput(out, comparePage(compared));
  process.stderr.write(`${tables(compared)}\n${out === '-' ? '' : `\nwritten to ${out}\n`}`);
});

/** Without each run's predictions and curves, which lie in its folder. */
function jsonOf({ groups, ...rest }: RunsCompared) {
  return {
    ...rest,
    groups: groups.map(({ name, runs, figures }) => ({
      name,
      figures,
      runs: runs.map(({ folder, finished, summary }) => ({ ...summary, folder, finished })),
    })),
  };
}

function tables({ groups, differing, comparisons, baseline, notes }: RunsCompared): string {
  const rows = groups.map(({ name, runs, figures: { srcc, plcc, rmse } }) => {
    const settings = differing.map((setting) => String(runs[0]!.summary.settings[setting]));
    return [name, String(runs.length), ...settings, meanText(srcc), meanText(plcc), meanText(rmse)];
  });
  const table = formatTable(rows, {
    columns: ['run', 'seeds', ...differing.map((name) => optionFlag(name).slice(2)), 'SRCC', 'PLCC', 'RMSE'],
    align: `lr${'l'.repeat(differing.length)}rrr`,
  });
  const paired = comparisons.map(({ name, images, differences: { srcc, plcc } }) => [
    name,
    images,
    ...[srcc, plcc].flatMap(({ difference, interval }) => [
      figureText(difference),
      interval.map((end) => figureText(end, 3)).join(' to '),
    ]),
  ]);
  const differences = formatTable(paired, {
    columns: [`minus ${baseline}`, 'images', 'SRCC', '95%', 'PLCC', '95%'],
    align: 'lrrlrl',
  });
  return [table, ...(comparisons.length > 0 ? [differences] : []), ...notes].join('\n\n');
}
