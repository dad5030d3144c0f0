import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { decodeThreadsVariable } from '../data/images/loader.ts';
import { parseProfile, profileVariable, profileWords } from '../kernels/device/adapter-profile.ts';
import { adapterVariable } from '../kernels/node/adapter-choice.ts';
import { tuningVariable } from '../kernels/node/file-store.ts';
import { countOption } from './numbers.ts';
import { Progress } from './progress.ts';

/**
 * The options of every command that computes. The adapter goes by the environment, so that devices opened later, in place
 * of a lost one or in other processes, follow it too.
 */
export function addGpuOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--adapter <name>', 'the adapter to compute on, by name, part of one, or number').argParser(
        (name: string) => (process.env[adapterVariable] = name),
      ),
    )
    .addOption(
      new Option(
        '--tuning <file>',
        'JSON of measured kernel variants to use, and add to, in place of the one in the cache folder',
      ).argParser(useTuningFile),
    )
    .addOption(
      new Option(
        '--decode-threads <n>',
        'threads that decode and resize images (default: one less than there are cores)',
      ).argParser(
        (text: string) =>
          (process.env[decodeThreadsVariable] = String(countOption('--decode-threads')(text))),
      ),
    );
}

/** Names the file to the store; where the command ends well and left none, that is said: rules choose on a software adapter. */
function useTuningFile(file: string): string {
  process.once('exit', (status) => {
    if (status === 0 && !existsSync(file))
      Progress.warn(
        `tuning     ${file} was not made: nothing was measured. CLIP_AGIQA_TUNE=always, or --tune always of train, has a software adapter measured, too`,
      );
  });
  process.env[tuningVariable] = file;
  return file;
}

/** Also how the adapter is to be seen, for commands that try the engine out. */
export function addTryOutOptions(command: Command): Command {
  return addGpuOptions(command).addOption(
    new Option(
      '--adapter-profile <words>',
      `try what runs on other adapters; of ${profileWords.join(', ')}, separated by commas`,
    ).argParser((text: string) => (process.env[profileVariable] = parseProfile(text).join())),
  );
}
