import { readFileSync, writeFileSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { guardDisk } from '../../src/common/disk.ts';
import { type ReaderName, readers } from './readers.ts';

/** What the parent asks: read this file or folder. */
export interface Request {
  readonly reader: ReaderName;
  readonly path: string;
  /** The only folder that may be written to. */
  readonly folder: string;
}

export interface Reply {
  /** `stack`: an error that is no UserError; `nonsense`: accepted, but not sane; `wrote`: wrote outside of its folder. */
  readonly outcome: 'accepted' | 'refused' | 'stack' | 'nonsense' | 'wrote';
  readonly message: string;
  readonly ms: number;
  /** Peak of the resident memory above what it was before, in MiB. */
  readonly peak: number;
}

const kibi = 2 ** 10;
const onLinux = process.platform === 'linux';

/** Resident memory in MiB: of now, and its peak since the last call of {@link resetPeak}. */
function memory(): { now: number; peak: number } {
  if (!onLinux) {
    return { now: process.memoryUsage.rss() / kibi ** 2, peak: process.resourceUsage().maxRSS / kibi };
  }
  const status = readFileSync('/proc/self/status', 'latin1');
  const field = (name: string) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)?.[1]) / kibi;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** Linux forgets the peak on this; elsewhere it is that of all cases so far. */
function resetPeak(): void {
  if (onLinux) writeFileSync('/proc/self/clear_refs', '5');
}

async function answer({ reader, path, folder }: Request): Promise<Reply> {
  let outside = '';
  const unguard = guardDisk(({ kind, path: changed }) => {
    if (!`${resolve(changed)}${sep}`.startsWith(`${resolve(folder)}${sep}`)) {
      outside ||= `${kind} ${changed}`;
      throw new Error(`not to be changed: ${changed}`);
    }
  });
  resetPeak();
  const before = memory().now;
  const began = performance.now();
  let outcome: Reply['outcome'];
  let message = '';
  try {
    const wrong = await readers[reader](path);
    outcome = wrong.length === 0 ? 'accepted' : 'nonsense';
    message = wrong.slice(0, 3).join(', ');
  } catch (error) {
    const { name, message: said, stack } = error as Error;
    outcome = name === 'UserError' && !/[\r\n]/.test(said) ? 'refused' : 'stack';
    message = outcome === 'refused' ? said : (stack ?? String(error));
  } finally {
    unguard();
  }
  const ms = performance.now() - began;
  if (outside !== '') return { outcome: 'wrote', message: outside, ms, peak: memory().peak - before };
  return { outcome, message: message.slice(0, 2000), ms, peak: memory().peak - before };
}

const send = (reply: Reply) => process.send!(reply);

process.on('message', (request: Request) => {
  answer(request).then(send);
});
// Thrown where nobody could catch it: what kills a program that uses the library.
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: Error) => {
    process.send!({ outcome: 'stack', message: `uncaught: ${error.stack}`, ms: 0, peak: 0 }, () =>
      process.exit(1),
    );
  });
process.send!('ready');
