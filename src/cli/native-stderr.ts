import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DiskFile } from '../common/disk.ts';

/** The file descriptor of standard error. */
const stderr = 2;

/** Linux's `open` for a file without a name, which Node's constants lack (include/uapi/asm-generic/fcntl.h). */
const unnamedFile = 0o20000000 | constants.O_DIRECTORY;

/**
 * Runs `work` and keeps back the lines it makes native code write on stderr that match `unwanted`; all others come out after it.
 * Native code writes to the descriptor itself, out of reach of process.stderr, and Node cannot duplicate one. So the descriptor is
 * closed for that time and a file without a name opened, which takes its number, the lowest that is free.
 *
 * Only on Linux, the one system where Dawn has something to say, and only where stderr can be opened again as it was: a terminal, a
 * pipe, a file that is appended to, or can be from now on. Elsewhere (a socket) the lines stay.
 *
 * @param work must be synchronous, so that nothing else is opened or written meanwhile
 */
export function withoutNativeLines<T>(unwanted: RegExp, work: () => T): T {
  const way = process.platform === 'linux' ? wayBack() : undefined;
  if (!way) return work();
  let file: DiskFile;
  try {
    file = new DiskFile(tmpdir(), unnamedFile | constants.O_RDWR, 0o600);
  } catch {
    way.close();
    return work();
  }
  try {
    closeSync(stderr);
    openAsStderr(`/proc/self/fd/${file.fd}`, constants.O_WRONLY | constants.O_APPEND);
    try {
      return work();
    } finally {
      closeSync(stderr);
      way.reopen();
    }
  } finally {
    way.close();
    const kept = linesOf(file.fd).filter((line) => !unwanted.test(line));
    file.close();
    if (kept.length > 0) process.stderr.write(kept.join(''));
  }
}

/** Opens what takes the place of stderr, which is closed. */
function openAsStderr(path: string, flags: number): void {
  const descriptor = openSync(path, flags);
  // Whatever is written to stderr now would go into a file that another thread has opened in this moment.
  if (descriptor !== stderr) throw new Error(`stderr was closed, and ${descriptor} opened in its place`);
}

/** Opens stderr once more, and can do so again once it is closed; undefined where it would not be the same. */
function wayBack(): { reopen(): void; close(): void } | undefined {
  const path = `/proc/self/fd/${stderr}`;
  try {
    const found = fstatSync(stderr);
    if (found.isFile()) appendFromNow(found.size);
    const { flags } = descriptorInfo();
    // A file has one place for all who share it, which a second opening would not.
    if (!found.isCharacterDevice() && !found.isFIFO() && !(found.isFile() && flags & constants.O_APPEND))
      return undefined;
    const access =
      flags & (constants.O_WRONLY | constants.O_RDWR | constants.O_APPEND | constants.O_NONBLOCK);
    // Without a reader, to open a pipe would wait for one: until it is open again it is read by this process itself.
    const guard = found.isFIFO() ? openSync(path, constants.O_RDWR | constants.O_NONBLOCK) : undefined;
    const other = openSync(path, access | constants.O_NOCTTY);
    return {
      reopen: () => openAsStderr(`/proc/self/fd/${other}`, access | constants.O_NOCTTY),
      close: () => {
        for (const descriptor of [other, guard]) if (descriptor !== undefined) closeSync(descriptor);
      },
    };
  } catch {
    // A socket, or the terminal of another user.
    return undefined;
  }
}

/**
 * Makes all who share the file that is stderr (`2> log`) append to it, where they stand at its end and that is the same. Node cannot set
 * the flag of an open file; GNU's dd does for what it writes to. Where another dd stands in, the flag stays as it was.
 */
function appendFromNow(size: number): void {
  const { flags, position } = descriptorInfo();
  if (flags & constants.O_APPEND || position !== size) return;
  spawnSync('dd', ['if=/dev/null', 'oflag=append', 'conv=notrunc', 'status=none'], {
    stdio: ['ignore', stderr, 'ignore'],
  });
}

/** How stderr was opened, and where in its file it stands. */
function descriptorInfo(): { readonly flags: number; readonly position: number } {
  const text = readFileSync(`/proc/self/fdinfo/${stderr}`, 'utf8');
  const number = (name: string, base: number) =>
    Number.parseInt(new RegExp(`^${name}:\\s*(\\d+)$`, 'm').exec(text)![1]!, base);
  return { flags: number('flags', 8), position: number('pos', 10) };
}

/** The lines of an open file, each with its end. */
function linesOf(descriptor: number): string[] {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  return bytes.toString().match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
