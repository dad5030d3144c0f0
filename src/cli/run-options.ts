import type { Command } from 'commander';

/** What {@link addRunOptions} adds. */
export interface RunFlags {
  readonly resume?: string | true;
  readonly overwrite?: boolean;
}

/** The options that every command with a run folder has. */
export function addRunOptions(command: Command): Command {
  return command
    .option(
      '--resume [dir]',
      'resume the run in this folder (default: --out) from its last checkpoint, with its saved settings; --epochs may only be raised',
    )
    .option('--overwrite', 'replace the run that is in the folder: its files are removed first');
}
