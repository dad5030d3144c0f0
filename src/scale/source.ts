import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { AsyncBuffer } from 'hyparquet';
import { openRegular } from '../common/read-file.ts';
import { s3 } from './s3/s3-client.ts';
import { objectSize, objectStream, readObjectRange } from './s3/s3-objects.ts';
import { isS3, parseS3 } from './s3/s3-url.ts';

/** A file, or an object of a store, as a stream; `signal` ends the requests for an object. */
export const streamOf = (path: string, signal?: AbortSignal): Readable =>
  isS3(path) ? objectStream(s3, parseS3(path), signal) : createReadStream(path);

/** Bytes of an object by their place, as hyparquet asks for them. */
export async function objectBuffer(url: string): Promise<AsyncBuffer> {
  const place = parseS3(url);
  const byteLength = await objectSize(s3, place);
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const from = start < 0 ? byteLength + start : start;
      const to = end < 0 ? byteLength + end : end;
      return (await readObjectRange(s3, place, { from, to })).buffer;
    },
  };
}

/** Refuses what is no regular file. An object is found out about when it is read. */
export async function requireReadable(path: string): Promise<void> {
  if (isS3(path)) return;
  const { handle } = await openRegular(path);
  await handle.close();
}
