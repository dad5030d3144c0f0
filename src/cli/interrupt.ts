import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Of a command that watches for itself. */
let controller: AbortController | undefined;
let received: (typeof signals)[number] | undefined;

/**
 * Handles Ctrl-C and SIGTERM from now on. The first one ends the process, once `last` has tidied up; where the command
 * watches for itself (see {@link watchInterrupts}) it only aborts, and the second one ends the process at once.
 *
 * @param last gives the last line
 */
export function handleInterrupts(last: () => string): void {
  for (const name of signals) process.on(name, () => interrupted(name, last));
}

/**
 * The first Ctrl-C or SIGTERM as an AbortSignal, so that the command can finish what it is writing and say how to continue
 * (see {@link Stopped}); asked again it gives the same.
 */
export function watchInterrupts(): AbortSignal {
  controller ??= new AbortController();
  return controller.signal;
}

/** The exit status of a command that was interrupted, 128 + the signal's number: 130 or 143. */
export const interruptedStatus = (): number => 128 + constants.signals[received ?? 'SIGINT'];

function interrupted(name: (typeof signals)[number], last: () => string): void {
  const first = received === undefined;
  received ??= name;
  if (first && controller) {
    controller.abort();
    return;
  }
  // A bar may stand on the line, and have hidden the cursor.
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K\x1b[?25h');
  if (first) process.stderr.write(`stopped    ${last()}\n`);
  process.exit(interruptedStatus());
}
