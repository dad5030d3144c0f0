import { Readable } from 'node:stream';
import { decodeXML } from 'entities';
import { UserError } from '../../common/errors.ts';
import { checkLimit, type LimitName } from '../../common/limits.ts';
import { type ByteRange, type S3, urlOf } from './s3-client.ts';
import type { S3Place } from './s3-url.ts';

/** Bytes of a page of a listing: a thousand keys of 1,024 bytes, each encoded as three. */
const pageBytes = 2 ** 24;

/**
 * The whole of an object.
 *
 * @param begun as {@link S3.read} has it
 * @throws UserError also where it is larger than the limit
 */
export async function readObject(
  s3: S3,
  place: S3Place,
  limitName: LimitName,
  {
    begun,
    ...options
  }: { readonly signal?: AbortSignal; readonly begun?: (length: number) => Promise<void> | void } = {},
): Promise<Uint8Array> {
  const check = (size: number) =>
    checkLimit(limitName, size, (bytes) => `${urlOf(place)}: has ${bytes} bytes`);
  const pieces: Uint8Array[] = [];
  let size = 0;
  const read = s3.read(place, {
    ...options,
    async begun(length) {
      if (Number.isFinite(length)) check(length);
      await begun?.(length);
    },
  });
  for await (const piece of read) {
    // A store that does not say how long it is, or says it wrong.
    check((size += piece.length));
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

/** An object as a stream, of any length. */
export const objectStream = (s3: S3, place: S3Place, signal?: AbortSignal): Readable =>
  Readable.from(s3.read(place, { signal }), { objectMode: false });

/** A part of an object. */
export async function readObjectRange(
  s3: S3,
  place: S3Place,
  range: ByteRange,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  if (range.to > range.from) for await (const piece of s3.read(place, { range })) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** How many bytes an object has. */
export async function objectSize(s3: S3, place: S3Place): Promise<number> {
  let size = Number.NaN;
  for await (const _ of s3.read(place, { begun: (length) => void (size = length) })) break;
  if (Number.isSafeInteger(size)) return size;
  throw new UserError(`${urlOf(place)}: the store does not say how long it is`, 'Copy it to a disk first.');
}

/** The keys that begin with a place's, in the store's order, which for most is that of their bytes: ListObjectsV2, page by page. */
export async function* listObjects(s3: S3, { bucket, key: prefix }: S3Place): AsyncGenerator<string> {
  const seen = new Set<string>();
  for (let token: string | undefined; ; ) {
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix,
      ...(token !== undefined && { 'continuation-token': token }),
    };
    const page = await readPage(s3, { bucket, key: '' }, query);
    const encoded = /<EncodingType>url<\/EncodingType>/.test(page);
    for (const [, text] of page.matchAll(/<Contents>(?:(?!<\/Contents>)[\s\S])*?<Key>([^<]*)<\/Key>/g)) {
      const key = decodeXML(text!);
      // Listings encode a space as + where other parts of S3 have %20.
      yield encoded ? decodeURIComponent(key.replaceAll('+', ' ')) : key;
    }
    if (!/<IsTruncated>true<\/IsTruncated>/.test(page)) return;
    token = decodeXML(/<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(page)?.[1] ?? '');
    if (token === '' || seen.has(token))
      throw new UserError(
        `s3://${bucket}/${prefix}: its listing does not go on`,
        'Is it a store that speaks S3?',
      );
    seen.add(token);
  }
}

async function readPage(s3: S3, place: S3Place, query: Readonly<Record<string, string>>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of s3.read(place, { query })) {
    size += piece.length;
    if (size > pageBytes) throw new UserError(`${urlOf(place)}: a page of its listing is too long`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
