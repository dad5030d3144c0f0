import { UserError } from '../../common/errors.ts';

/** Bytes that are read at given offsets, never as a whole: a file on disk, a file dropped on a page, a download. */
export interface ByteSource {
  /** For messages; a file's path. */
  readonly path: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset` in a buffer of their own; `UserError` where there are fewer. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** The error of who asks for bytes behind the end. */
export function beyondEnd({ path, size }: ByteSource, offset: number, length: number): UserError {
  return new UserError(
    `${path}: ends at byte ${size}, but bytes ${offset} to ${offset + length} are needed`,
    'The file is truncated; copy or download it again.',
  );
}

/** What of a browser's or Node's `Blob` or `File` is used. */
export interface SliceableBlob {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** The bytes of a `Blob`; there is nothing to close. */
export function blobSource(blob: SliceableBlob, path: string): ByteSource {
  const source: ByteSource = {
    path,
    size: blob.size,
    async read(offset, length) {
      // Written so that NaN is refused too.
      if (!(offset >= 0 && length >= 0 && offset + length <= blob.size))
        throw beyondEnd(source, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
    close: () => Promise.resolve(),
  };
  return source;
}
