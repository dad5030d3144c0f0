import yauzl from 'yauzl';
import type { RandomAccessFile } from './random-access.ts';

/** What is read ahead: a directory's entries follow one another, and each takes two small reads. */
const windowBytes = 2 ** 18;

/**
 * Gives yauzl the bytes of a file. Its own reader hands whatever offset an archive names to `fs.read`, which throws from
 * within a callback, where nobody can catch it; here such a read is an error like any other.
 */
export class ZipReader extends yauzl.RandomAccessReader {
  readonly #file: RandomAccessFile;
  #window = { start: 0, bytes: new Uint8Array() };

  constructor(file: RandomAccessFile) {
    super();
    this.#file = file;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#bytes(position, length).then(
      (bytes) => {
        buffer.set(bytes, offset);
        this.#answer(() => callback(null, length));
      },
      (error: Error) => this.#answer(() => callback(error)),
    );
  }

  /** What yauzl throws while it takes an answer would otherwise be nobody's. */
  #answer(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.emit('error', error);
    }
  }

  async #bytes(position: number, length: number): Promise<Uint8Array> {
    const { start, bytes } = this.#window;
    if (position < start || !(position + length <= start + bytes.length)) {
      const ahead = Math.max(length, Math.min(windowBytes, this.#file.size - position));
      this.#window = { start: position, bytes: await this.#file.read(position, ahead) };
    }
    const from = position - this.#window.start;
    return this.#window.bytes.subarray(from, from + length);
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }

  override _readStreamForRange(): never {
    throw new Error('entries are read by offset');
  }
}
