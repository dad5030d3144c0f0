import { existsSync, readdirSync, realpathSync } from 'node:fs';
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
  release(): void;
}

/**
 * Holds a run's folder for this process, so that two runs never write into one.
 *
 * A lock is an empty file named for its process, `run.lock-IDENTITY`. Each process makes its own and only then looks for
 * others: of two that come at once at least one sees the other (Lamport's bakery, doi 10.1145/361082.361093), so nothing has to
 * be taken over, and removing what a dead process left, a name that never comes again, cannot hit anyone else's lock.
 *
 * @throws UserError if another process holds it, or if it cannot be told whether one does
 */
export async function lockRun(folder: string): Promise<RunLock> {
  const place = realpathSync(folder);
  if (held.has(place)) throw inUse(folder, 'this process');
  held.add(place);
  const own = join(place, prefix + identityText(ownIdentity()));
  try {
    for (let attempt = 0; ; attempt++) {
      new DiskFile(own, 'w').close();
      const other = holderOf(place, own);
      if (!other) return { release: () => release(place, own) };
      removeFile(own);
      if (other.state === 'unknown') throw ofAnotherMachine(folder, join(folder, other.name));
      // One that came at the same moment gives way, or is still there after a while.
      if (attempt === 3) throw inUse(folder, `process ${other.pid}`);
      await sleep(30 + 150 * Math.random());
    }
  } catch (error) {
    held.delete(place);
    throw diskError(folder, error) ?? error;
  }
}

/** Whether another process holds a folder, or one of another machine may. */
export const isHeld = (folder: string): boolean =>
  existsSync(folder) && holderOf(realpathSync(folder), '') !== undefined;

function release(place: string, own: string): void {
  held.delete(place);
  try {
    removeFile(own);
  } catch {
    // Once this process has ended it holds nothing.
  }
}

/** Another process that may be at work in a folder; the locks of those that have gone are removed. */
function holderOf(place: string, own: string) {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(prefix) || join(place, name) === own) continue;
    const identity = parseIdentity(name.slice(prefix.length));
    const state = identity ? stateOf(identity) : 'unknown';
    if (state !== 'gone') return { name, state, pid: identity?.pid };
    try {
      removeFile(join(place, name));
    } catch (error) {
      // Another that starts here has removed it too.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

const inUse = (folder: string, whose: string) =>
  new UserError(
    `${folder}: in use by a run (${whose})`,
    'Wait for it, stop it, or choose another folder with --out.',
  );

const ofAnotherMachine = (folder: string, file: string) =>
  new UserError(
    `${folder}: may be in use by a run on another machine or in another container`,
    `If there is none, remove ${file} and run the command again.`,
  );
