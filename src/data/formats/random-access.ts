import type { FileHandle } from 'node:fs/promises';
import { UserError } from '../../common/errors.ts';
import { openRegular, unreadable } from '../../common/read-file.ts';
import { type ByteSource, beyondEnd } from './byte-source.ts';

/** Longest single read, below the operating system's limit of 2 GiB. */
const largestRead = 2 ** 28;

/** A file read at given offsets, never as a whole. */
export class RandomAccessFile implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** Throws `UserError` when there is no such file, it may not be read, or it is no regular file. */
  static async open(path: string): Promise<RandomAccessFile> {
    const { handle, size } = await openRegular(path);
    return new RandomAccessFile(path, size, handle);
  }

  /** Exactly `length` bytes from `offset` in a buffer of their own; `UserError` when the file ends before. */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    // Written so that NaN is refused too.
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) throw beyondEnd(this, offset, length);
    const bytes = new Uint8Array(length);
    try {
      for (let at = 0; at < length; ) {
        const part = Math.min(length - at, largestRead);
        const { bytesRead } = await this.#handle.read(bytes, at, part, offset + at);
        if (bytesRead === 0)
          throw new UserError(`${this.path}: was truncated while being read`, 'Try again.');
        at += bytesRead;
      }
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
