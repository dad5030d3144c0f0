import { join } from 'node:path';
import { commandLine, shellWord } from '../common/invocation.ts';
import { readTextSync } from '../common/read-file.ts';

/** The commands that leave runs. */
export type RunCommand = 'train' | 'pretrain';

/** Which command's run a folder holds, by the first line of its config.yaml. */
export function commandOf(path: string): RunCommand | undefined {
  const [first] = configOf(path).split('\n', 1);
  return (['train', 'pretrain'] as const).find((command) => first === header(command));
}

/** The command line that resumes a run. */
export const resumeCommand = (path: string, command: RunCommand): string =>
  `${commandLine(command)} --resume ${shellWord(path)}`;

/** First line of a run's config.yaml, which says whose it is. */
export const header = (command: RunCommand) => `# Settings of a run of ${command}, used by --resume.`;

/** The text of config.yaml; empty where there is none that a run wrote: it may be anything. */
export function configOf(path: string): string {
  try {
    return readTextSync(join(path, 'config.yaml'), 'yamlBytes');
  } catch {
    return '';
  }
}
