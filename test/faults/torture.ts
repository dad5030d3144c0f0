import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCommand, runCommand } from '../../src/cli/command.ts';
import { countOption } from '../../src/cli/numbers.ts';
import { Progress } from '../../src/cli/progress.ts';
import { formatTable } from '../../src/cli/table.ts';
import { UserError } from '../../src/common/errors.ts';
import { commands, type TorturedCommand } from './commands.ts';
import { type Tally, Torture } from './kill-runs.ts';

interface Options {
  kills: number;
  seed: number;
  kinds?: string;
  jobs: number;
  keep?: boolean;
  json?: boolean;
}

const command = createCommand(
  'torture',
  'Kills commands at random moments, starts them again until they end, and compares what they leave with undisturbed runs.',
  [
    'node dist/torture.js                                   # 500 kills over all commands',
    'node dist/torture.js --kills 2000 --seed 7',
    'node dist/torture.js --kinds best_val,pretrain --kills 100 --json',
  ],
)
  .option('--kills <n>', 'how many kills in all', countOption('--kills'), 500)
  .option('--seed <n>', 'of the moments and signals', countOption('--seed'), 1)
  .option(
    '--kinds <list>',
    `which commands: ${commands.map(({ name, summary }) => `${name} (${summary})`).join(', ')}; default: all`,
  )
  .option('--jobs <n>', 'runs side by side', countOption('--jobs'), Math.min(4, availableParallelism()))
  .option('--keep', 'keep the folder of the runs')
  .option('--json', 'print the counts as JSON on stdout');

await runCommand<Options>(command, async (options) => {
  const chosen = chooseCommands(options.kinds);
  const scratch = mkdtempSync(join(tmpdir(), 'torture-'));
  const torture = new Torture(scratch, options);
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      torture.stop();
      report([...torture.tallies.values()], options.json);
      Progress.line(`stopped    the runs are in ${scratch}`);
      process.exit(status);
    });
  await torture.run(chosen);
  const tallies = [...torture.tallies.values()];
  report(tallies, options.json);
  const failed = tallies.some(({ wrong, temporaries }) => wrong.length > 0 || temporaries > 0);
  if (failed || options.keep) Progress.line(`the runs are in ${scratch}`);
  // Made above, by this process, under a name nobody else has.
  else rmSync(scratch, { recursive: true });
  if (failed) process.exitCode = 1;
});

function chooseCommands(kinds: string | undefined): TorturedCommand[] {
  const names = kinds?.split(',').map((name) => name.trim());
  const unknown = names?.find((name) => !commands.some((one) => one.name === name));
  if (unknown !== undefined)
    throw new UserError(
      `there is no kind ${unknown}`,
      `Choose from ${commands.map(({ name }) => name).join(', ')}.`,
    );
  return commands.filter(({ name }) => names?.includes(name) ?? true);
}

function report(tallies: readonly Tally[], json: boolean | undefined): void {
  const rows = tallies.map(({ kind, signals, atWrite, ended, identical, wrong, temporaries }) => {
    const { SIGKILL, SIGTERM, SIGINT } = signals;
    return [
      kind,
      SIGKILL + SIGTERM + SIGINT,
      SIGKILL,
      SIGTERM,
      SIGINT,
      atWrite,
      ended,
      identical,
      wrong.length,
      temporaries,
    ];
  });
  const sums = rows.reduce<(string | number)[]>(
    (sum, row) => row.map((value, i) => (i === 0 ? 'all' : Number(sum[i] ?? 0) + Number(value))),
    [],
  );
  const columns = [
    ...['command', 'kills', 'SIGKILL', 'SIGTERM', 'SIGINT', 'at a write'],
    ...['runs ended', 'identical', 'wrong', 'temporaries left'],
  ];
  const table = formatTable(
    [...rows, sums].map((row) => row.map(String)),
    { columns, align: 'lrrrrrrrrr' },
  );
  Progress.line(table);
  for (const { wrong } of tallies) for (const line of wrong) Progress.line(`wrong      ${line}`);
  if (json) process.stdout.write(`${JSON.stringify(tallies)}\n`);
}
