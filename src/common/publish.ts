import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DiskFile, linkFile, makeFolder, removeFile, renameFile } from './disk.ts';
import { UserError } from './errors.ts';
import { diskError, isAbandoned, isTemporary, temporaryName } from './files.ts';

/** `written` by this call, or `same`: another had published these bytes already. */
export type Published = 'written' | 'same';

/** A name that is taken by other bytes: two computations of one thing that did not come to the same. */
export class PublishConflict extends UserError {}

/** What file systems without hard links say (exFAT, object stores mounted as folders). */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/**
 * Publishes a whole file under a name that several processes, on several machines, may want at once: the first writer wins, and
 * whoever reads the name finds all of its bytes. A name that is taken by the same bytes is a success.
 *
 * @param path folders above it are made
 * @param temporaries a folder in the same file system, see {@link sweepTemporaries}
 * @throws PublishConflict if the name is taken by other bytes
 * @throws UserError if it cannot be written
 */
export function publish(path: string, bytes: Uint8Array, temporaries: string): Published {
  try {
    const temporary = join(temporaries, temporaryName());
    const file = inFolder(temporaries, () => new DiskFile(temporary, 'wx'));
    try {
      file.write(bytes);
      file.sync();
      file.close();
      return linkOrCompare(temporary, path, bytes);
    } finally {
      file.close();
      removeQuietly(temporary);
    }
  } catch (error) {
    throw diskError(path, error) ?? error;
  }
}

/** Does what needs a folder, which as a rule is there: it is made only where it turns out to be missing. */
function inFolder<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  makeFolder(folder);
  return work();
}

function linkOrCompare(temporary: string, path: string, bytes: Uint8Array): Published {
  try {
    inFolder(dirname(path), () => linkFile(temporary, path));
    return 'written';
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // Also where a network file system lost its answer to a link that it had made.
    if (code === 'EEXIST') return compare(path, bytes);
    if (!noLinks.has(code)) throw error;
  }
  // Two that come here at once replace one whole file by another, which only PublishConflict could have told apart.
  if (lstatSync(path, { throwIfNoEntry: false })) return compare(path, bytes);
  makeFolder(dirname(path));
  renameFile(temporary, path);
  return 'written';
}

function compare(path: string, bytes: Uint8Array): Published {
  const found = lstatSync(path);
  if (!found.isFile()) throw new UserError(`${path}: is not a regular file`, 'Remove it, and run again.');
  if (found.size === bytes.length && readFileSync(path).equals(bytes)) return 'same';
  throw new PublishConflict(
    `${path} holds other bytes than were computed now; it stays as it is`,
    'Two computations of one shard differ: were they of different adapters, or is the file damaged? Remove it to compute it again.',
  );
}

/** How old a temporary file of another machine must be to be nobody's: no shard takes a day. */
const abandonedAfter = 24 * 3600 * 1000;

/** Removes the temporary files of processes that have gone: of this machine, or a day ago. */
export function sweepTemporaries(folder: string): void {
  for (const name of namesIn(folder)) {
    if (!isTemporary(name)) continue;
    const path = join(folder, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    const old = found && Date.now() - found.mtimeMs > abandonedAfter;
    if (found?.isFile() && (old || isAbandoned(name))) removeQuietly(path);
  }
}

/** The names in a folder; none where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError(folder, error) ?? error;
  }
}

function removeQuietly(path: string): void {
  try {
    removeFile(path);
  } catch (error) {
    // Gone already, or on a disk that has just failed: the next sweep takes it.
    if (!(error as NodeJS.ErrnoException).code) throw error;
  }
}
