import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiskFile, removeFile } from '../common/disk.ts';
import { UserError } from '../common/errors.ts';
import { diskError } from '../common/files.ts';
import { identityText, ownIdentity, parseIdentity, stateOf } from '../common/process-identity.ts';

const prefix = 'run.lock-';

/** What this process holds: of its own lock files it knows better than by the file. */
const held = new Set<string>();

/** A run's folder, held until it is released. */
export interface RunLock {
  /** Throws `UserError` once another machine has taken the folder over. */
  requireHeld(): void;
  release(): void;
}

/** A folder that another process holds, or may hold. */
export class RunInUse extends UserError {}

/** Milliseconds between two signs of life in a lock, and without one until another machine takes the folder over. */
const [signEvery, abandonedAfter] = [60_000, 600_000];

export interface LockOptions {
  /** Takes the folder over from a process of another machine at once: for who knows that it has ended, or is being stopped. */
  readonly takeOver?: boolean | undefined;
}

/**
 * Holds a run's folder for this process, so that two runs never write into one.
 *
 * A lock is a file named for its process, `run.lock-IDENTITY`. Each process makes its own and only then looks for others: of two
 * that come at once at least one sees the other (Lamport's bakery, doi 10.1145/361082.361093), and removing what a dead process left, a
 * name that never comes again, cannot hit anyone else's lock.
 *
 * Whether a process of this machine still runs, the system tells. One of another machine writes to its lock every minute, and
 * counts as dead after ten minutes without: by the times of the files alone, which on a shared disk are of one clock.
 *
 * @throws RunInUse if another process holds it, or may hold it
 */
export async function lockRun(folder: string, { takeOver = false }: LockOptions = {}): Promise<RunLock> {
  const place = realpathSync(folder);
  if (held.has(place)) throw inUse(folder, 'this process');
  held.add(place);
  const own = join(place, prefix + identityText(ownIdentity()));
  try {
    for (let attempt = 0; ; attempt++) {
      showLife(own, 'w');
      const other = holderOf(place, own, takeOver);
      if (!other) return hold(folder, place, own);
      removeFile(own);
      if (other.state === 'unknown') throw ofAnotherMachine(folder, join(folder, other.name));
      // One that came at the same moment gives way, or is still there after a while.
      if (attempt === 3) throw inUse(folder, `process ${other.pid}`);
      await sleep(30 + 150 * Math.random());
    }
  } catch (error) {
    // Also a lock that there was no room to write.
    release(place, own);
    throw diskError(folder, error) ?? error;
  }
}

function hold(folder: string, place: string, own: string): RunLock {
  const timer = setInterval(() => {
    try {
      showLife(own, 'r+');
    } catch {
      // It was taken over, which requireHeld() says; or the disk has failed, which others may take for this process's end.
    }
  }, signEvery).unref();
  return {
    requireHeld() {
      if (!existsSync(own)) throw takenOver(folder);
    },
    release() {
      clearInterval(timer);
      release(place, own);
    },
  };
}

/** Writes to a lock, so that the file server notes when. `flags`: `w` makes it. */
function showLife(path: string, flags: 'w' | 'r+'): void {
  const file = new DiskFile(path, flags);
  try {
    file.write(Buffer.from('\n'), 0);
  } finally {
    file.close();
  }
}

function release(place: string, own: string): void {
  held.delete(place);
  try {
    removeFile(own);
  } catch {
    // Once this process has ended it holds nothing.
  }
}

/** Another process that may be at work in a folder; the locks of those that have gone are removed. */
function holderOf(place: string, own: string, takeOver: boolean) {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(prefix) || join(place, name) === own) continue;
    const identity = parseIdentity(name.slice(prefix.length));
    const state = identity ? stateOf(identity) : 'unknown';
    try {
      const gone =
        state === 'gone' || (state === 'unknown' && (takeOver || isAbandoned(join(place, name), own)));
      if (!gone) return { name, state, pid: identity?.pid };
      removeFile(join(place, name));
    } catch (error) {
      // Another that starts here has removed it too.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

const isAbandoned = (lock: string, own: string): boolean =>
  statSync(own).mtimeMs - statSync(lock).mtimeMs > abandonedAfter;

const takenOver = (folder: string) =>
  new UserError(
    `${folder}: another machine has taken this run over, as this process gave no sign of life for ten minutes`,
    'Its last checkpoint is intact, and the other process continues from there.',
  );

const inUse = (folder: string, whose: string) =>
  new RunInUse(
    `${folder}: in use by a run (${whose})`,
    'Wait for it, stop it, or choose another folder with --out.',
  );

const ofAnotherMachine = (folder: string, file: string) =>
  new RunInUse(
    `${folder}: may be in use by a run on another machine or in another container`,
    `If that machine is dead, run the command again in ten minutes, or remove ${file}.`,
  );
