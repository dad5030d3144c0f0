import { randomBytes } from 'node:crypto';
import { accessSync, constants, lstatSync, readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DiskFile, makeFolder, removeFile, renameFile } from './disk.ts';
import { UserError } from './errors.ts';
import { identityText, ownIdentity, parseIdentity, stateOf } from './process-identity.ts';

type Chunk = string | Uint8Array;

/** A file, device or pipe that is being written. */
export interface Output {
  /** Where the bytes end up: the file a symbolic link leads to. */
  readonly path: string;
  write(chunk: Chunk): void;
  /** Ends it. A regular file gets its name only now, in place of an older one: whoever reads it finds the whole or the old. */
  commit(): void;
  /** Ends it without a result: a regular file is as it was before. After commit() it does nothing. */
  abandon(): void;
}

/**
 * Opens any output of this project. `-` is standard output; devices and pipes are written to; a symbolic link is followed;
 * a regular file is written beside its place and put there by {@link Output.commit}.
 *
 * @throws UserError if it cannot be written, for instance a folder; missing parent folders are made
 */
export function openOutput(path: string): Output {
  return refusing(path, () => {
    const place = destination(path);
    return place.kind === 'file' ? new FileOutput(path, place) : new StreamOutput(place);
  });
}

/** Writes a whole output; see {@link openOutput}. What goes wrong leaves an older file as it was. */
export async function writeOutput(
  path: string,
  chunks: Chunk | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const output = openOutput(path);
  try {
    for await (const chunk of isChunk(chunks) ? [chunks] : chunks) output.write(chunk);
    output.commit();
  } catch (error) {
    output.abandon();
    throw error;
  }
}

/**
 * Refuses, before the work that leads to it, an output that could not be written: makes its folder, and tries to make a file
 * there. Clears away what a process that has gone left in that folder.
 *
 * @throws UserError
 */
export function checkOutput(path: string): void {
  refusing(path, () => {
    const place = destination(path);
    if (place.kind === 'stream') {
      // Not opened: a pipe waits for its reader, and the reader may come late.
      if (place.path !== '-') accessSync(place.path, constants.W_OK);
      return;
    }
    makeFolder(dirname(place.path));
    removeTemporaries(dirname(place.path));
    new FileOutput(path, place).abandon();
  });
}

/**
 * Makes a folder for results, or takes the one there is, and refuses one that cannot be written to. Clears away what a
 * process that has gone left in it.
 *
 * @throws UserError
 */
export function prepareFolder(path: string): void {
  refusing(path, () => {
    makeFolder(path);
    removeTemporaries(path);
    const probe = join(path, temporaryName());
    new DiskFile(probe, 'wx').close();
    removeFile(probe);
  });
}

const prefix = '.clip-agiqa-';
const suffix = '.tmp';
/** Containers may share host name, process number and start: these bytes they do not. */
const salt = randomBytes(6).toString('hex');
let temporaries = 0;

/** A name no other process uses, on any machine; it tells whose it is, so that {@link removeTemporaries} can tell when it is nobody's. */
export const temporaryName = (): string =>
  `${prefix}${identityText(ownIdentity())}-${salt}.${temporaries++}${suffix}`;

/** Whether a name is one that {@link temporaryName} gives. */
export const isTemporary = (name: string): boolean => name.startsWith(prefix) && name.endsWith(suffix);

/** Whether a name is that of a temporary file or folder whose process has gone. Those of other machines may be at work. */
export function isAbandoned(name: string): boolean {
  if (!isTemporary(name)) return false;
  const identity = parseIdentity(name.slice(prefix.length, name.lastIndexOf('-')));
  return identity !== undefined && stateOf(identity) === 'gone';
}

/** Removes the temporary files in a folder whose processes have gone. */
export function removeTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!isAbandoned(name)) continue;
    try {
      if (lstatSync(join(folder, name)).isFile()) removeFile(join(folder, name));
    } catch (error) {
      // Another process may have cleared it away at the same moment, and a read-only folder keeps it.
      if (!(error as NodeJS.ErrnoException).code) throw error;
    }
  }
}

type Destination =
  /** `-`, or a path to be opened with these flags, or open already. */
  | {
      readonly kind: 'stream';
      readonly path: string;
      readonly flags: number | { readonly descriptor: number };
    }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number | undefined };

/** Where a path leads, and how that place is written. */
function destination(path: string): Destination {
  if (path === '-') return { kind: 'stream', path, flags: 0 };
  let at = path;
  // Link by link, since the last may lead to a file that is yet to be made. /dev/stdout and its like lead to what is open already:
  // it is written as it is, behind what this process and those it shares it with have written, and never replaced.
  for (let links = 0; ; links++) {
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (!found?.isSymbolicLink()) return placeOf(at, path, found);
    const descriptor = ownDescriptor(at);
    if (descriptor === 1) return { kind: 'stream', path: '-', flags: 0 };
    if (descriptor !== undefined) return { kind: 'stream', path: at, flags: { descriptor } };
    if (isOpenFile(at)) return { kind: 'stream', path: at, flags: constants.O_WRONLY | constants.O_APPEND };
    if (links === 40) throw new UserError(`${path}: too many symbolic links`);
    at = resolve(dirname(at), readlinkSync(at));
  }
}

/** The number of one of this process's open files that a path such as /dev/stdout stands for. */
function ownDescriptor(path: string): number | undefined {
  const found = /^\/(?:dev|proc\/(?:self|(\d+)))\/(?:(stdout|stderr)|fd\/(\d+))$/.exec(resolve(path));
  if (!found || (found[1] !== undefined && Number(found[1]) !== process.pid)) return undefined;
  return found[2] ? { stdout: 1, stderr: 2 }[found[2] as 'stdout' | 'stderr'] : Number(found[3]);
}

/** Whether a path leads to what another process has open. */
const isOpenFile = (path: string): boolean => /^\/proc\/\d+\/fd\/\d+$/.test(resolve(path));

function placeOf(at: string, path: string, found: Stats | undefined): Destination {
  if (found?.isDirectory() || (!found && /[/\\]$/.test(path)))
    throw new UserError(`${path}: is a folder`, 'Pass the name of a file.');
  if (found && !found.isFile()) return { kind: 'stream', path: at, flags: constants.O_WRONLY };
  if (found) accessSync(at, constants.W_OK);
  return { kind: 'file', path: at, mode: found ? found.mode & 0o777 : undefined };
}

/** Regular files that are being written. */
const unfinished = new Set<Output>();

/** Ends everything that this process is writing without a result, before it exits; see {@link Output.abandon}. */
export function abandonOutputs(): void {
  for (const output of unfinished) output.abandon();
}

class StreamOutput implements Output {
  readonly path: string;
  readonly #file: DiskFile | undefined;

  constructor({ path, flags }: Destination & { kind: 'stream' }) {
    this.path = path;
    this.#file = path === '-' ? undefined : new DiskFile(path, flags);
  }

  write(chunk: Chunk): void {
    const file = this.#file;
    if (!file) process.stdout.write(chunk);
    else refusing(this.path, () => file.write(bytesOf(chunk)));
  }

  commit(): void {
    this.#file?.close();
  }

  abandon(): void {
    this.#file?.close();
  }
}

class FileOutput implements Output {
  readonly path: string;
  readonly #named: string;
  readonly #temporary: string;
  readonly #file: DiskFile;
  #open = true;

  constructor(named: string, { path, mode }: Destination & { kind: 'file' }) {
    const folder = dirname(path);
    makeFolder(folder);
    this.path = path;
    this.#named = named;
    this.#temporary = join(folder, temporaryName());
    if (Buffer.byteLength(basename(path)) > 255)
      throw Object.assign(new Error('name too long'), { code: 'ENAMETOOLONG' });
    this.#file = new DiskFile(this.#temporary, 'wx', mode);
    unfinished.add(this);
  }

  write(chunk: Chunk): void {
    refusing(this.#named, () => this.#file.write(bytesOf(chunk)));
  }

  commit(): void {
    refusing(this.#named, () => {
      this.#file.sync();
      this.#file.close();
      renameFile(this.#temporary, this.path);
      this.#open = false;
      unfinished.delete(this);
    });
  }

  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    unfinished.delete(this);
    this.#file.close();
    try {
      removeFile(this.#temporary);
    } catch {
      // What made it fail is on its way to the caller; the next start clears this file away.
    }
  }
}

const isChunk = (value: unknown): value is Chunk => typeof value === 'string' || value instanceof Uint8Array;

const bytesOf = (chunk: Chunk): Uint8Array => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk);

function refusing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(path, error) ?? error;
  }
}

/** What the system's refusal to write `path` means for the user; undefined for anything else. */
export function diskError(path: string, error: unknown): UserError | undefined {
  if (error instanceof UserError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const elsewhere = 'Choose another path.';
  const said: Record<string, [string, string]> = {
    ENOSPC: ['no space left on the disk', 'Free some space; nothing was half-written.'],
    EDQUOT: ['disk quota exceeded', 'Free some space; nothing was half-written.'],
    EACCES: ['permission denied', 'Choose a path that you may write to.'],
    EPERM: ['permission denied', 'Choose a path that you may write to.'],
    EROFS: ['is on a read-only file system', elsewhere],
    ENOTDIR: [`${blockingFile(path)} is a file, not a folder`, elsewhere],
    EEXIST: ['a file with that name already exists', elsewhere],
    EISDIR: ['is a folder', 'Pass the name of a file.'],
    ENAMETOOLONG: ['the name is too long', 'Choose a shorter one.'],
    ENOENT: ['its folder cannot be created', elsewhere],
    ELOOP: ['too many symbolic links', elsewhere],
    EPIPE: ['the reader has closed the pipe', 'Start the reader again.'],
    ENXIO: ['nothing is listening there', elsewhere],
    EBUSY: ['is in use', elsewhere],
    EXDEV: ['is on a different file system from its folder', elsewhere],
    EIO: ['disk I/O error', 'Check the disk; nothing was half-written.'],
    EMFILE: ['too many files are open', 'Raise the limit (ulimit -n).'],
    ENFILE: ['too many files are open', 'Close other programs.'],
  };
  const known = said[code];
  if (!known) return undefined;
  return new UserError(`${path}: ${known[0]} (${code})`, known[1], { cause: error });
}

/** The part of a path that is a file although more follows. */
function blockingFile(path: string): string {
  for (let at = path; dirname(at) !== at; at = dirname(at)) {
    try {
      if (statSync(at).isFile()) return at;
    } catch {
      // Not there, or below the file that is looked for.
    }
  }
  return dirname(path);
}
