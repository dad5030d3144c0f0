import { type FileHandle, open } from 'node:fs/promises';
import { UserError } from '../common/errors.ts';

/** Longest single read, below the operating system's limit of 2 GiB. */
const largestRead = 2 ** 28;

/** A file read at given offsets, never as a whole. */
export class RandomAccessFile {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** Throws `UserError` when there is no such file, it may not be read, or it is a folder. */
  static async open(path: string): Promise<RandomAccessFile> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'r');
      const info = await handle.stat();
      if (!info.isFile()) throw new UserError(`${path}: is not a file`, 'Give the path of a file.');
      return new RandomAccessFile(path, info.size, handle);
    } catch (error) {
      await handle?.close();
      if (error instanceof UserError) throw error;
      const code = (error as NodeJS.ErrnoException).code;
      throw new UserError(`${path}: cannot be opened (${code})`, 'Check the path and its permissions.');
    }
  }

  /** Exactly `length` bytes from `offset` in a buffer of their own; `UserError` when the file ends before. */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw new UserError(
        `${this.path}: ends at byte ${this.size}, but bytes ${offset} to ${offset + length} are needed`,
        'The file is truncated; copy or download it again.',
      );
    }
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.#handle.read(
        bytes,
        at,
        Math.min(length - at, largestRead),
        offset + at,
      );
      if (bytesRead === 0)
        throw new UserError(`${this.path}: became shorter while it was read`, 'Try again.');
      at += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
