import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DiskFile, removeFile, renameFile } from '../common/disk.ts';
import { temporaryName } from '../common/files.ts';
import { identityText, ownIdentity, parseIdentity, stateOf } from '../common/process-identity.ts';

/**
 * The files of the feature cache: segments of records, each of its key's SHA-256, a CRC-32 of the vector, and the vector. A
 * process appends to segments of its own alone and reads them all, so that any number may share a folder; the name says whose
 * a segment is. No file stays open between reads: there may be more segments than a process may have files open.
 */

const keyBytes = 32;
const headerBytes = keyBytes + 4;
const suffix = '.features';

/** Read at once while a segment is gone through. */
const window = 2 ** 20;

export interface StoredRecord {
  readonly hash: Buffer;
  readonly vector: Uint8Array;
}

/** What one file's names and records look like. */
export interface SegmentFormat {
  /** `f32x512` for vectors of 512 float32. */
  readonly name: string;
  readonly vectorBytes: number;
}

/** Bytes of one record. */
export const recordBytes = ({ vectorBytes }: SegmentFormat): number => headerBytes + vectorBytes;

/** A name for a new segment of this process. Where the system does not say when a process began, identities come again. */
export const segmentName = ({ name }: SegmentFormat): string =>
  `${name}-${identityText(ownIdentity())}-${randomBytes(6).toString('hex')}${suffix}`;

/** The segments of a format in a folder, in the order of their names. */
export function listSegments(folder: string, { name }: SegmentFormat): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && ownerOf(entry.name, name) !== undefined)
    .map((entry) => entry.name)
    .sort();
}

function ownerOf(file: string, format: string) {
  if (!file.startsWith(`${format}-`) || !file.endsWith(suffix)) return undefined;
  return parseIdentity(file.slice(format.length + 1, file.lastIndexOf('-')));
}

/** Whether the process that writes a segment has gone, so that nobody appends to it any more. */
export function isAbandoned(file: string, { name }: SegmentFormat): boolean {
  const owner = ownerOf(file, name);
  return owner !== undefined && stateOf(owner) === 'gone';
}

/** Records as they lie in a segment. */
export function encodeRecords(records: readonly StoredRecord[], format: SegmentFormat): Buffer {
  const bytes = Buffer.alloc(records.length * recordBytes(format));
  for (const [i, { hash, vector }] of records.entries()) {
    const at = i * recordBytes(format);
    bytes.set(hash, at);
    bytes.writeUInt32LE(crc32(vector), at + keyBytes);
    bytes.set(vector, at + headerBytes);
  }
  return bytes;
}

/** The vector of a record, or undefined if the record is cut, damaged or another key's. */
function vectorOf(record: Buffer, hash: Buffer | undefined, format: SegmentFormat): Buffer | undefined {
  if (record.length !== recordBytes(format)) return undefined;
  const vector = record.subarray(headerBytes);
  if (crc32(vector) !== record.readUInt32LE(keyBytes)) return undefined;
  return hash && !hash.equals(record.subarray(0, keyBytes)) ? undefined : vector;
}

/** Calls `each` with the key, in hex, and the offset of every record of a segment that is whole and undamaged. */
export function scanSegment(
  path: string,
  format: SegmentFormat,
  each: (key: string, offset: number, record: Buffer) => void,
): void {
  const length = recordBytes(format);
  const block = Buffer.alloc(Math.max(1, Math.floor(window / length)) * length);
  const fd = openSync(path, 'r');
  try {
    for (let offset = 0; ; ) {
      const read = fill(fd, block, offset);
      const whole = read - (read % length);
      for (let at = 0; at < whole; at += length) {
        const record = block.subarray(at, at + length);
        if (vectorOf(record, undefined, format))
          each(record.toString('hex', 0, keyBytes), offset + at, record);
      }
      offset += whole;
      if (read < block.length) return;
    }
  } finally {
    closeSync(fd);
  }
}

/** Longer records are not read as a whole to learn their keys. */
const page = 4096;

/**
 * Calls `each` with the key, in hex, and the offset of every record of a segment that is not cut. Whether it is undamaged is seen
 * when it is read: a folder of many gigabytes would take long to go through.
 */
export function scanKeys(
  path: string,
  format: SegmentFormat,
  each: (key: string, offset: number) => void,
): void {
  const length = recordBytes(format);
  const perRead = length <= page ? Math.floor(window / length) : 1;
  const block = Buffer.alloc(length <= page ? perRead * length : keyBytes);
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    for (let offset = 0; offset + length <= size; offset += perRead * length) {
      const read = fill(fd, block, offset);
      for (let at = 0; at + keyBytes <= read && offset + at + length <= size; at += length)
        each(block.toString('hex', at, at + keyBytes), offset + at);
    }
  } finally {
    closeSync(fd);
  }
}

/** The vectors of records of one segment, copied; undefined for a damaged one. */
export function readVectors(
  path: string,
  places: readonly { readonly hash: Buffer; readonly offset: number }[],
  format: SegmentFormat,
): (Buffer | undefined)[] {
  const fd = openSync(path, 'r');
  try {
    return places.map(({ hash, offset }) => {
      const record = Buffer.alloc(recordBytes(format));
      return vectorOf(record.subarray(0, fill(fd, record, offset)), hash, format);
    });
  } finally {
    closeSync(fd);
  }
}

function fill(fd: number, bytes: Buffer, offset: number): number {
  let read = 0;
  for (let part = -1; read < bytes.length && part !== 0; read += part)
    part = readSync(fd, bytes, read, bytes.length - read, offset + read);
  return read;
}

/**
 * Copies the whole records of abandoned segments into one new segment, each key once, and then removes them. Whenever it
 * stops, every record is in one of the two: the new segment gets its name when it has reached the disk, and only then are
 * the old ones removed, unless they have grown meanwhile. Two processes that merge at once leave some records twice.
 *
 * @returns the new segment's name
 */
export function mergeSegments(folder: string, files: readonly string[], format: SegmentFormat): string {
  const temporary = join(folder, temporaryName());
  const output = new DiskFile(temporary, 'wx');
  const copied: { readonly path: string; readonly size: number }[] = [];
  const keys = new Set<string>();
  try {
    for (const file of files) {
      const path = join(folder, file);
      let batch: Buffer[] = [];
      let bytes = 0;
      const write = () => {
        if (batch.length > 0) output.write(Buffer.concat(batch));
        batch = [];
        bytes = 0;
      };
      try {
        const { size } = lstatSync(path);
        scanSegment(path, format, (key, _, record) => {
          if (keys.has(key)) return;
          keys.add(key);
          batch.push(Buffer.from(record));
          bytes += record.length;
          if (bytes >= window) write();
        });
        write();
        copied.push({ path, size });
      } catch (error) {
        // Another process has merged it already.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    output.sync();
    output.close();
    const name = segmentName(format);
    renameFile(temporary, join(folder, name));
    for (const { path, size } of copied) removeMerged(path, size);
    return name;
  } catch (error) {
    output.close();
    tryTo(() => removeFile(temporary));
    throw error;
  }
}

function removeMerged(path: string, size: number): void {
  tryTo(() => {
    if (lstatSync(path).size === size) removeFile(path);
  });
}

/** What fails for the disk's sake leaves a file more, which the next merge takes. */
function tryTo(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}
