import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { countOption } from '../../src/cli/numbers.ts';
import { Progress } from '../../src/cli/progress.ts';
import { formatTable } from '../../src/cli/table.ts';
import { UserError } from '../../src/common/errors.ts';
import { commands } from './commands.ts';
import { DeviceRuns } from './device-runs.ts';
import { KillRuns } from './kill-runs.ts';
import { deviceKinds, kinds } from './kinds.ts';
import type { Part, TortureOptions } from './part.ts';
import { PointRuns } from './point-runs.ts';

const makers: Readonly<Record<string, (scratch: string, options: TortureOptions) => Part>> = {
  kills: (scratch, options) => new KillRuns(scratch, options),
  points: (scratch, options) => new PointRuns(scratch, options),
  losses: (scratch, options) => DeviceRuns.losses(scratch, options),
  memory: (scratch, options) => DeviceRuns.memory(scratch, options),
};

interface Options extends Omit<TortureOptions, 'kinds'> {
  kinds?: string;
  keep?: boolean;
  json?: boolean;
}

const names = [...new Set([...commands, ...kinds, ...deviceKinds].map(({ name }) => name))];
const command = createCommand(
  'torture',
  'Kills commands, takes their disk and their GPU away, and compares what they come to with undisturbed runs.',
  [
    'node dist/torture.js                                # 500 processes killed, started again and compared',
    'node dist/torture.js --kills 2000 --seed 7',
    'node dist/torture.js points --kinds best_val,pretrain',
    'node dist/torture.js kills points losses memory --json',
  ],
)
  .argument(
    '[parts...]',
    'kills: SIGKILL, SIGTERM or SIGINT at random moments, or as a temporary file appears; points: a kill before each operation on the disk and within each write, in this process; losses: the device destroyed at one submission after the other; memory: no room for one buffer after the other; default: kills',
  )
  .option('--kills <n>', 'how many processes to kill in all', countOption('--kills'), 500)
  .option(
    '--faults <n>',
    'how many submissions, or buffers, to fail of each kind',
    countOption('--faults'),
    100,
  )
  .option('--seed <n>', 'of moments and signals', countOption('--seed'), 1)
  .option('--kinds <list>', `which runs, of ${names.join(', ')}; default: all`)
  .option('--jobs <n>', 'processes side by side', countOption('--jobs'), Math.min(4, availableParallelism()))
  .option('--keep', 'keep the folder of the runs')
  .option('--json', 'print the counts as JSON on stdout');

await runCommand<Options>(command, async ({ kinds: list, ...options }, asked) => {
  const chosen = list?.split(',').map((name) => name.trim());
  refuseUnknown('kind', chosen ?? [], names);
  refuseUnknown('part', asked, Object.keys(makers));
  const scratch = mkdtempSync(join(tmpdir(), 'torture-'));
  const parts = (asked.length > 0 ? asked : ['kills']).map((name) =>
    makers[name]!(scratch, { ...options, kinds: chosen }),
  );
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      for (const part of parts) part.stop();
      report(parts, options.json);
      Progress.line(`stopped    the runs are in ${scratch}`);
      process.exit(status);
    });
  for (const part of parts) await part.run();
  const failed = report(parts, options.json);
  if (failed || options.keep) Progress.line(`the runs are in ${scratch}`);
  // Made above, by this process, under a name nobody else has.
  else rmSync(scratch, { recursive: true });
  if (failed) process.exitCode = 1;
});

function refuseUnknown(what: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UserError(`there is no ${what} ${unknown}`, `Choose from ${known.join(', ')}.`);
}

/** Prints a table a part; tells whether anything was wrong. */
function report(parts: readonly Part[], json: boolean | undefined): boolean {
  const outcomes = parts.map((part) => ({ part: part.name, ...part.outcome() }));
  for (const { columns, rows, wrong } of outcomes) {
    const sums = columns.map((_, c) =>
      c === 0 ? 'all' : rows.reduce((sum, row) => sum + Number(row[c]), 0),
    );
    Progress.line(
      `\n${formatTable([...rows, sums], { columns, align: `l${'r'.repeat(columns.length - 1)}` })}`,
    );
    for (const line of wrong) Progress.line(`wrong      ${line}`);
  }
  if (json) process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  return outcomes.some(({ wrong }) => wrong.length > 0);
}
