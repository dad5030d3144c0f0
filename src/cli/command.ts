import { Command, type OptionValues } from 'commander';
import { Stopped, UserError } from '../common/errors.ts';
import { abandonOutputs } from '../common/files.ts';
import { asInvoked, commandLine } from '../common/invocation.ts';
import { packageVersion } from '../common/package.ts';
import { printable } from '../common/printable.ts';
import { HangError } from '../kernels/device/watchdog.ts';
import { handleInterrupts, interruptedStatus } from './interrupt.ts';
import { killUnlessGone } from './last-resort.ts';
import { Progress } from './progress.ts';

/**
 * A command with the conventions every entry point shares: `--help` ends with examples, an unknown option or
 * argument is refused with the nearest valid name, and the exit status is then 1.
 *
 * @param name the file's name without extension; help shows it as it was called
 * @param examples whole command lines, optionally ending in `  # what it does`
 */
export function createCommand(name: string, description: string, examples: readonly string[]): Command {
  const command = new Command(commandLine(name))
    .description(description)
    .version(packageVersion(), '-V, --version', 'print the version of the package')
    .allowExcessArguments(false)
    .option('--quiet', 'print results, warnings and errors only')
    .showSuggestionAfterError(true)
    .showHelpAfterError('Run with --help for options and examples.');
  if (examples.length > 0) {
    const lines = examples.map((line) => `  ${asInvoked(line)}`);
    command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
  }
  return command;
}

/**
 * Parses `process.argv` and runs `main` with the options and the positional arguments. A `UserError` becomes one
 * line and its advice on stderr, any other error its stack; both end the process with status 1 at once, because a
 * GPU that is still referenced would otherwise keep it alive. Work that was {@link Stopped} ends with the signal's status.
 */
export async function runCommand<Options extends OptionValues>(
  command: Command,
  main: (options: Options, args: string[]) => Promise<void> | void,
): Promise<void> {
  // A reader that closes early (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  handleInterrupts(() => {
    abandonOutputs();
    return 'before it finished; the files already written are complete, run the command again for the rest';
  });
  try {
    command.parse();
    if (command.opts().quiet) Progress.silence();
    await main(command.opts<Options>(), command.args);
  } catch (error) {
    if (error instanceof Stopped) {
      process.stderr.write(`stopped    ${printable(error.message)}\n`);
      process.exit(error.status ?? interruptedStatus());
    }
    process.stderr.write(`${describeError(error)}\n`);
    if (error instanceof HangError) killUnlessGone();
    process.exit(1);
  }
}

/** What a command prints for an error: message and advice of a `UserError`, else the stack with its causes. */
export function describeError(error: unknown): string {
  if (error instanceof UserError) {
    return `error: ${printable(error.message)}${error.advice ? `\n  ${printable(error.advice)}` : ''}`;
  }
  if (!(error instanceof Error)) return `error: ${printable(String(error))}`;
  const cause = error.cause === undefined ? '' : `\ncaused by ${describeError(error.cause)}`;
  return `${printable(error.stack ?? error.message, { lines: true })}${cause}`;
}
