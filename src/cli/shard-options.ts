import { type Command, Option } from 'commander';
import { UserError } from '../common/errors.ts';
import { commandLine } from '../common/invocation.ts';
import { isS3 } from '../scale/s3/s3-url.ts';
import { countOption } from './numbers.ts';

/** Options of a command whose work can be cut into shards. */
export interface ShardFlags {
  out?: string;
  planOnly?: boolean;
  shard?: string;
  shardSize?: number;
  format?: string;
  maxErrors?: number;
  queue?: string | true;
  detach?: boolean;
  retry?: boolean;
}

/** Adds them; the first format is the default. `--out` is the command's own, where it means more than a folder. */
export function addShardOptions(command: Command, formats: readonly string[], out = true): Command {
  if (out)
    command.option(
      '--out <dir>',
      'work through a plan in this folder, a result file a shard: can be stopped, continued, and done by many machines (docs/scale.md)',
    );
  command
    .option('--plan-only', 'with --out: write the plan and end')
    .option(
      '--shard <part>',
      'with --out: only part I/N of the shards, or auto (Slurm array, Kubernetes Indexed Job)',
    )
    .option('--shard-size <n>', 'with --out: images a shard (default: 1000)', countOption('--shard-size'))
    .addOption(
      new Option('--format <name>', `with --out: files of the results (default: ${formats[0]})`).choices(
        formats,
      ),
    )
    .option(
      '--max-errors <n>',
      'with --out: end with an error when more images than this cannot be read',
      wholeOption('--max-errors'),
    );
  return addQueueOptions(command, 'with --out: hand out the shards');
}

/** Adds the options of a queue; `what` begins the help of --queue. */
export const addQueueOptions = (command: Command, what: string): Command =>
  command
    .option(
      '--queue [url]',
      `${what} by a queue (redis://, rediss://, postgres://; default: QUEUE_URL) to ${commandLine('worker')}`,
    )
    .option('--detach', 'with --queue: do not wait for the results')
    .option('--retry', 'with --queue: try again what failed there');

const wholeOption = (flag: string) => (text: string) => (text === '0' ? 0 : countOption(flag)(text));

/** Checks that options which need another one have it. */
export function checkShardFlags(flags: ShardFlags, shards = flags.out !== undefined): void {
  const names = { planOnly: '--plan-only', shard: '--shard', shardSize: '--shard-size', format: '--format' };
  const more = { maxErrors: '--max-errors', queue: '--queue' };
  for (const [name, option] of Object.entries({ ...names, ...more }))
    if (!shards && flags[name as keyof ShardFlags] !== undefined)
      throw new UserError(`${option} is for a plan of shards`, 'Add --out DIR.');
  checkQueueFlags(flags);
}

export function checkQueueFlags(flags: Pick<ShardFlags, 'queue' | 'shard' | 'detach' | 'retry'>): void {
  if (flags.queue && flags.shard !== undefined)
    throw new UserError('a queue hands out the shards, so --shard makes no sense', 'Use one of them.');
  for (const name of ['detach', 'retry'] as const)
    if (flags[name] && !flags.queue) throw new UserError(`--${name} is for a queue`, 'Add --queue URL.');
}

/** Objects of a bucket are fetched for shards, whose results are kept as they come. */
export function refuseObjects(names: readonly string[] = []): void {
  const url = names.find(isS3);
  if (url !== undefined) throw new UserError(`${url}: s3:// needs a plan of shards`, 'Add --out DIR/.');
}
