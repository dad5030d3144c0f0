import { closeSync, openSync, readFileSync, readSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { UserError } from './errors.ts';
import { checkLimit, type LimitName } from './limits.ts';

/**
 * Opens a regular file for reading. A folder, pipe or device is refused before it is opened: opening a pipe would wait for
 * a writer, and a device may never end.
 *
 * @throws UserError also if there is no such file or it may not be read
 */
export async function openRegular(path: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    requireRegular(path, await stat(path));
    handle = await open(path, 'r');
    return { handle, size: (await handle.stat()).size };
  } catch (error) {
    await handle?.close();
    throw unreadable(path, error);
  }
}

/** The whole of a regular file of at most `limitName` bytes. Throws `UserError` for any other. */
export async function readWhole(path: string, limitName: LimitName): Promise<Buffer> {
  const { handle, size } = await openRegular(path);
  try {
    checkSize(path, size, limitName);
    const bytes = Buffer.alloc(size);
    let read = 0;
    // A file that grows or shrinks meanwhile is read as far as it was long.
    for (let part = -1; read < size && part !== 0; read += part)
      part = (await handle.read(bytes, read, size - read, read)).bytesRead;
    return bytes.subarray(0, read);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    await handle.close();
  }
}

/** As {@link readWhole}, as text in UTF-8 without a byte order mark; what is no UTF-8 becomes U+FFFD. */
export async function readText(path: string, limitName: LimitName): Promise<string> {
  return new TextDecoder().decode(await readWhole(path, limitName));
}

/** As {@link readText}, at once: for the small files that decide what a command does, before it does anything. */
export function readTextSync(path: string, limitName: LimitName): string {
  try {
    const status = statSync(path);
    requireRegular(path, status);
    checkSize(path, status.size, limitName);
    return new TextDecoder().decode(readFileSync(path));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** `length` bytes of a regular file from `start` on, or fewer where it ends; at once, which for a few kilobytes takes less than waiting. */
export function readRangeSync(path: string, start: number, length: number): Buffer {
  let fd: number | undefined;
  try {
    requireRegular(path, statSync(path));
    fd = openSync(path, 'r');
    const bytes = Buffer.alloc(length);
    let read = 0;
    for (let part = -1; read < length && part !== 0; read += part)
      part = readSync(fd, bytes, read, length - read, start + read);
    return bytes.subarray(0, read);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function requireRegular(path: string, status: Stats): void {
  if (!status.isFile()) throw new UserError(`${path}: is not a regular file`, 'Pass the path of a file.');
}

const checkSize = (path: string, size: number, limitName: LimitName): void =>
  checkLimit(limitName, size, (bytes) => `${path}: has ${bytes} bytes`);

/** What the system's refusal to read `path` means for the user. Other errors come back as they are. */
export function unreadable(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof UserError || code === undefined) return error;
  return new UserError(`${path}: cannot be read (${code})`, 'Check the path and its permissions.', {
    cause: error,
  });
}
