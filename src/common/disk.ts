import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Everything this project changes on a disk goes through here, so that a test can stop a program before any one of these
 * operations, as a kill or a full disk would (the method of SQLite's crash tests, https://sqlite.org/testing.html#crash).
 */
export interface DiskOperation {
  readonly kind: 'make-folder' | 'open' | 'write' | 'sync' | 'rename' | 'link' | 'remove';
  readonly path: string;
  /** Of a write: how many bytes. */
  readonly bytes?: number;
}

/** Called before each operation, which does not take place if it throws. */
export type DiskGuard = (operation: DiskOperation) => void;

/** Thrown by a guard before a write: so many bytes of it reach the disk, and then `cause` is thrown. */
export class TornWrite extends Error {
  readonly bytes: number;

  constructor(bytes: number, cause: Error) {
    super(cause.message, { cause });
    this.bytes = bytes;
  }
}

let guard: DiskGuard | undefined;

/** Puts a guard before every operation until the function returned is called. For tests. */
export function guardDisk(watching: DiskGuard): () => void {
  if (guard) throw new Error('the disk is already guarded');
  guard = watching;
  return () => {
    guard = undefined;
  };
}

/** A file open for writing. */
export class DiskFile {
  readonly path: string;
  readonly #given: boolean;
  #fd: number | undefined;

  /**
   * @param flags as `fs.open` takes them: `wx` for a new file, `a` to append, a number for anything else. `{ descriptor }`: what
   *   this process was given open, whose place in the file it shares with whoever gave it; it is not closed here
   */
  constructor(path: string, flags: string | number | { readonly descriptor: number }, mode?: number) {
    guard?.({ kind: 'open', path });
    this.path = path;
    this.#given = typeof flags === 'object';
    this.#fd = typeof flags === 'object' ? flags.descriptor : openSync(path, flags, mode);
  }

  get fd(): number {
    if (this.#fd === undefined) throw new Error(`${this.path} was closed`);
    return this.#fd;
  }

  /** Writes all of `bytes`, at `position` or where the last write ended. */
  write(bytes: Uint8Array, position?: number): void {
    try {
      guard?.({ kind: 'write', path: this.path, bytes: bytes.length });
    } catch (error) {
      if (!(error instanceof TornWrite)) throw error;
      this.#write(bytes.subarray(0, error.bytes), position);
      throw error.cause;
    }
    this.#write(bytes, position);
  }

  /** Returns once what was written has reached the disk. */
  sync(): void {
    guard?.({ kind: 'sync', path: this.path });
    fsyncSync(this.fd);
  }

  close(): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    if (!this.#given) closeSync(fd);
  }

  #write(bytes: Uint8Array, position: number | undefined): void {
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.fd, bytes, at, bytes.length - at, position === undefined ? null : position + at);
  }
}

/** Makes a folder and those above it that are missing; one that exists already is left as it is. */
export function makeFolder(path: string): void {
  try {
    makeOne(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(path);
    // Level by level: Node's own recursive mkdir never returns below /proc.
    if (code !== 'ENOENT' || parent === path) throw error;
    makeFolder(parent);
    makeOne(path);
  }
}

function makeOne(path: string): void {
  guard?.({ kind: 'make-folder', path });
  try {
    mkdirSync(path);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (!exists || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Gives a file another name in the same file system, replacing a file of that name, and syncs the folder that now holds it. */
export function renameFile(from: string, to: string): void {
  guard?.({ kind: 'rename', path: to });
  renameSync(from, to);
  syncFolder(dirname(to));
}

/**
 * Gives a file a second name in the same file system, and syncs the folder that holds it. Unlike a rename it never replaces: where
 * the name is taken it throws EEXIST, also on network file systems, and of several processes exactly one succeeds.
 */
export function linkFile(existing: string, path: string): void {
  guard?.({ kind: 'link', path });
  linkSync(existing, path);
  syncFolder(dirname(path));
}

/** Removes one file. There is nothing here that removes more. */
export function removeFile(path: string): void {
  guard?.({ kind: 'remove', path });
  unlinkSync(path);
}

/** Removes one empty folder. */
export function removeEmptyFolder(path: string): void {
  guard?.({ kind: 'remove', path });
  rmdirSync(path);
}

/** Without this a power cut may undo a rename that the program saw succeed. */
export function syncFolder(path: string): void {
  guard?.({ kind: 'sync', path });
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    fsyncSync(fd);
  } catch {
    // Windows opens no folders, and some network file systems sync none: the rename itself has succeeded.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
