import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { type DiskOperation, guardDisk } from '../../src/common/disk.ts';
import { identityText, ownIdentity, type ProcessIdentity } from '../../src/common/process-identity.ts';

/** What an inode has held: everything here is written from its beginning to its end. */
interface Content {
  /** Tells it from others. */
  readonly number: number;
  readonly pieces: Buffer[];
  length: number;
}

/** A file as it was at some moment: the first `length` bytes of what it came to hold. */
export interface FileState {
  readonly content: Content;
  readonly length: number;
}

/** What lies in some folders. */
export interface FolderState {
  /** Folders and files by their path. */
  readonly folders: readonly string[];
  readonly files: ReadonlyMap<string, FileState>;
}

/** A moment at which a process may be killed, and what it leaves. */
export interface CrashPoint extends FolderState {
  /** From 1. */
  readonly number: number;
  /** The operation that does not take place, or of which only half does. */
  readonly operation: DiskOperation;
  readonly torn: boolean;
}

/**
 * What a program leaves in some folders if it is killed before any one of its operations on the disk, or in the middle of a
 * write, after the method of SQLite's crash tests (https://sqlite.org/testing.html#crash): it runs once to its end, undisturbed,
 * and each operation is preceded by a look at the folders. A kill can leave nothing else: what a process writes reaches the
 * file at once, and none of its clean-up runs after it.
 */
export async function recordCrashPoints(
  roots: readonly string[],
  work: () => Promise<unknown>,
): Promise<CrashPoint[]> {
  const recorder = new Recorder(roots);
  const release = guardDisk((operation) => recorder.before(operation));
  try {
    await work();
  } finally {
    release();
  }
  recorder.verify();
  return recorder.points;
}

class Recorder {
  readonly points: CrashPoint[] = [];
  readonly #roots: readonly string[];
  #contents = new Map<number, Content>();
  #count = 0;
  #torn: { readonly operation: DiskOperation; readonly written: number } | undefined;

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  before(operation: DiskOperation): void {
    if (!isBelow(operation, this.#roots)) return;
    const { folders, files } = this.look();
    this.#addTorn(folders, files);
    this.points.push({ number: this.points.length + 1, operation, torn: false, folders, files });
    const written = files.get(operation.path)?.length;
    const tears = operation.kind === 'write' && written !== undefined && (operation.bytes ?? 0) > 1;
    this.#torn = tears ? { operation, written: written + Math.floor(operation.bytes! / 2) } : undefined;
  }

  /** Holds what was pieced together against the files as they are at the end. */
  verify(): void {
    const { folders, files } = this.look();
    this.#addTorn(folders, files);
    for (const [path, state] of files)
      if (!readFileSync(path).equals(bytesOf(state)))
        throw new Error(`${path} was not written from its beginning to its end`);
  }

  /** The write before this moment is complete by now: half of it is a state of its own. */
  #addTorn(folders: readonly string[], files: ReadonlyMap<string, FileState>): void {
    const torn = this.#torn;
    this.#torn = undefined;
    const state = torn && files.get(torn.operation.path);
    if (!state) return;
    const halved = new Map(files).set(torn.operation.path, { ...state, length: torn.written });
    this.points.push({
      number: this.points.length + 1,
      operation: torn.operation,
      torn: true,
      folders,
      files: halved,
    });
  }

  look(): { folders: string[]; files: Map<string, FileState> } {
    const folders: string[] = [];
    const files = new Map<string, FileState>();
    const alive = new Map<number, Content>();
    const walk = (path: string) => {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory()) {
        folders.push(path);
        for (const name of readdirSync(path).sort()) walk(join(path, name));
      } else if (found?.isFile()) {
        const content = this.#contents.get(found.ino) ?? { number: ++this.#count, pieces: [], length: 0 };
        if (found.size < content.length) throw new Error(`${path} was cut`);
        if (found.size > content.length) {
          content.pieces.push(tail(path, content.length, found.size));
          content.length = found.size;
        }
        alive.set(found.ino, content);
        files.set(path, { content, length: found.size });
      }
    };
    for (const root of this.#roots) walk(root);
    this.#contents = alive;
    return { folders, files };
  }
}

/** Whether an operation is on something in these folders, or on one of them. */
export const isBelow = ({ path }: DiskOperation, roots: readonly string[]): boolean =>
  roots.some((root) => path === root || path.startsWith(root + sep));

function tail(path: string, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  const fd = openSync(path, 'r');
  try {
    if (readSync(fd, bytes, 0, bytes.length, from) !== bytes.length)
      throw new Error(`${path} became shorter`);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

const bytesOf = ({ content, length }: FileState): Buffer => Buffer.concat(content.pieces).subarray(0, length);

/** Puts folders back into an earlier state, as left by `process` instead of this one, which still runs. */
export function restoreState(
  roots: readonly string[],
  { folders, files }: FolderState,
  process: ProcessIdentity,
): void {
  const [own, left] = [identityText(ownIdentity()), identityText(process)];
  const rename = (path: string) => path.replaceAll(own, left);
  for (const root of roots) rmSync(root, { recursive: true, force: true });
  for (const folder of folders) mkdirSync(rename(folder), { recursive: true });
  for (const [path, state] of files) {
    let bytes = bytesOf(state);
    if (bytes.length < 4096 && bytes.includes(own))
      bytes = Buffer.from(rename(bytes.toString('latin1')), 'latin1');
    mkdirSync(dirname(rename(path)), { recursive: true });
    writeFileSync(rename(path), bytes);
  }
}

/** Makes what this process has left in some folders the leavings of another. */
export function leaveToProcess(roots: readonly string[], process: ProcessIdentity): void {
  const recorder = new Recorder(roots);
  restoreState(roots, recorder.look(), process);
}

/** Says in a line at which points a program stopped; paths below `folder`. */
export function describePoints(points: readonly CrashPoint[], folder: string): string {
  const describe = ({ number, operation, torn }: CrashPoint) =>
    `${number} (${torn ? 'within a' : 'before'} ${operation.kind} of ${relative(folder, operation.path)})`;
  const [first, last] = [points[0]!, points.at(-1)!];
  return first === last ? `at point ${describe(first)}` : `at points ${describe(first)} to ${describe(last)}`;
}
