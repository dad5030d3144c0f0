import type { Command } from 'commander';
import { UserError } from '../common/errors.ts';

/** `--epoch-file`: which checkpoint of a results folder of the published trainer. */
export function addEpochFileOption(command: Command): Command {
  return command.option(
    '--epoch-file <n>',
    'for a folder of the published trainer: N of model.pth.tar-N, or best (default: best if there is one, else the highest N)',
  );
}

/** The value of `--epoch-file`. */
export function epochFile(value: string | undefined): number | 'best' | undefined {
  if (value === undefined || value === 'best') return value;
  if (!/^\d+$/.test(value)) throw new UserError(`--epoch-file takes an epoch number or best, not ${value}`);
  return Number(value);
}
