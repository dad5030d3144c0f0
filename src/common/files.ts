import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from './errors.ts';

/** Writes chunks to `path` through a temporary file beside it, renamed when complete: a crash or a full disk leaves the old file. */
export async function writeFileAtomic(
  path: string,
  chunks: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  let fd: number | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    fd = openSync(temporary, 'w');
    const parts =
      typeof chunks === 'string' ? [Buffer.from(chunks)] : chunks instanceof Uint8Array ? [chunks] : chunks;
    for await (const part of parts) {
      for (let at = 0; at < part.length; ) at += writeSync(fd, part, at, part.length - at);
    }
    fsyncSync(fd);
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC')
      throw new UserError(`${path}: no space left on the disk`, 'Free some space; nothing was half-written.');
    if (code === 'EACCES' || code === 'EROFS')
      throw new UserError(`${path}: may not be written (${code})`, 'Choose a folder you own with --out.');
    throw error;
  }
}
