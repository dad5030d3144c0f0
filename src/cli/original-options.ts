import type { Command } from 'commander';
import { UserError } from '../common/errors.ts';

/** `--epoch-file`: which checkpoint of a results folder of the published trainer. */
export function addEpochFileOption(command: Command): Command {
  return command.option(
    '--epoch-file <n>',
    'of a folder of the published trainer: N of model.pth.tar-N, or best (default: best where there is one, else the highest)',
  );
}

/** The value of `--epoch-file`. */
export function epochFile(value: string | undefined): number | 'best' | undefined {
  if (value === undefined || value === 'best') return value;
  if (!/^\d+$/.test(value))
    throw new UserError(`--epoch-file is the number of an epoch, or best, not ${value}`);
  return Number(value);
}
