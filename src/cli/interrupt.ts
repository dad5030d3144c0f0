import { constants } from 'node:os';

/**
 * Ctrl-C and SIGTERM as an AbortSignal: from {@link watchInterrupts} on, the first of them aborts it, so that the command can
 * finish what it is writing and say how to go on (see {@link Stopped}); the second ends the process at once.
 */

const watched = ['SIGINT', 'SIGTERM'] as const;
let controller: AbortController | undefined;
let received: (typeof watched)[number] | undefined;

/** Begins to watch; asked again it gives the same signal. */
export function watchInterrupts(): AbortSignal {
  if (controller) return controller.signal;
  controller = new AbortController();
  for (const name of watched) process.on(name, () => interrupted(name));
  return controller.signal;
}

/**
 * Ends a command that does not watch for itself, at the first Ctrl-C or SIGTERM, once `last` has tidied up.
 *
 * @param last gives the last line
 */
export function endOnInterrupt(last: () => string): void {
  for (const name of watched)
    process.on(name, () => {
      if (controller) return;
      received = name;
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K\x1b[?25h');
      process.stderr.write(`stopped    ${last()}\n`);
      process.exit(interruptedStatus());
    });
}

/** The exit status of a command that was interrupted, 128 + the signal's number: 130 or 143. */
export const interruptedStatus = (): number => 128 + constants.signals[received ?? 'SIGINT'];

function interrupted(name: (typeof watched)[number]): void {
  if (!received) {
    received = name;
    controller!.abort();
    return;
  }
  // A bar may have hidden the cursor.
  if (process.stderr.isTTY) process.stderr.write('\x1b[?25h');
  process.exit(interruptedStatus());
}
