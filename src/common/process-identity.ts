import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Which process a file belongs to, so that another can tell whether that one still runs. A process number alone does not:
 * it is used again, and folders are shared between machines and containers.
 */
export interface ProcessIdentity {
  /** The machine, or the container, by a hash of its names. */
  readonly machine: string;
  /** Since when it runs, by a hash: another one after each boot. */
  readonly boot: string;
  readonly pid: number;
  /** When the process began, in the kernel's ticks; 0 where the system does not say. */
  readonly started: number;
}

let own: ProcessIdentity | undefined;

/** This process. */
export function ownIdentity(): ProcessIdentity {
  own ??= {
    machine: short(
      [hostname(), text('/etc/machine-id'), link('/proc/self/ns/pid'), process.platform].join('\n'),
    ),
    boot: short(text('/proc/sys/kernel/random/boot_id')),
    pid: process.pid,
    started: startOf(process.pid) ?? 0,
  };
  return own;
}

/** Whether a process still runs; `unknown` for one of another machine. */
export function stateOf({ machine, boot, pid, started }: ProcessIdentity): 'running' | 'gone' | 'unknown' {
  const here = ownIdentity();
  if (machine !== here.machine) return 'unknown';
  if (boot !== here.boot) return 'gone';
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is one, of another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'gone';
  }
  const now = startOf(pid);
  return started !== 0 && now !== undefined && now !== started ? 'gone' : 'running';
}

/** An identity as part of a file's name. */
export const identityText = ({ machine, boot, pid, started }: ProcessIdentity): string =>
  `${machine}-${boot}-${pid}-${started}`;

/** The identity that {@link identityText} wrote, or undefined if it did not. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const found = /^([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,10})-(\d{1,15})$/.exec(text);
  if (!found) return undefined;
  return { machine: found[1]!, boot: found[2]!, pid: Number(found[3]), started: Number(found[4]) };
}

/** Field 22 of /proc/PID/stat (proc(5)), counted from behind the command's name, which may hold blanks. */
function startOf(pid: number): number | undefined {
  const stat = text(`/proc/${pid}/stat`);
  if (stat === '') return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; its parent has only not asked yet.
  return fields[0] === 'Z' ? -1 : Number(fields[19]);
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const short = (value: string): string => createHash('sha256').update(value).digest('hex').slice(0, 8);
