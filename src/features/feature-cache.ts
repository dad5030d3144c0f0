import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DiskFile, makeFolder } from '../common/disk.ts';
import { UserError } from '../common/errors.ts';
import { diskError, removeTemporaries } from '../common/files.ts';
import { cacheFile } from '../common/folders.ts';
import { findNonFinite } from '../data/formats/finite.ts';
import { float16ToFloat32, float32ToFloat16, type StorageType } from '../data/formats/float16.ts';
import {
  encodeRecords,
  isAbandoned,
  listSegments,
  mergeSegments,
  readVectors,
  recordBytes,
  type SegmentFormat,
  type StoredRecord,
  scanKeys,
  segmentName,
} from './feature-segments.ts';

export interface FeatureCacheOptions {
  /** Numbers a vector. */
  readonly width: number;
  /** Storage; float16 halves the disk space at a relative error of 5e-4. */
  readonly type?: StorageType;
  /** Called with a line on what the cache cannot do; work continues without it. */
  readonly warn?: (line: string) => void;
}

interface Place {
  /** Of the segments known. */
  readonly segment: number;
  readonly offset: number;
}

/** What cannot be done, and what follows. */
const refusals = {
  use: 'cannot be used, so features are computed',
  read: 'cannot be read, so features are computed',
  write: 'cannot be written, so features are not cached',
  merge: 'keeps many small files, which cannot be merged',
} as const;

/** So many abandoned segments are merged into one. */
const manySegments = 16;
/** Larger ones are left alone: to copy them again and again would cost more than they do. */
const smallSegment = 64 * 2 ** 20;

/**
 * Feature vectors on disk by key, shared by all processes that use the folder; see feature-segments.ts. A torn or damaged
 * record is found out and counts as absent. What the disk refuses costs a line, never the work: without a readable folder the
 * cache is empty, and on a full disk it takes no more.
 */
export class FeatureCache {
  readonly #folder: string;
  readonly #width: number;
  readonly #format: SegmentFormat;
  readonly #half: boolean;
  readonly #warn: (line: string) => void;
  readonly #index = new Map<string, Place>();
  /** Names of the segments known, whether or not they are still there. */
  readonly #segments: string[] = [];
  readonly #known = new Set<string>();
  #pending: StoredRecord[] = [];
  #own: { readonly file: DiskFile; readonly segment: number; end: number } | undefined;
  #writable = true;
  #warned = false;

  private constructor(folder: string, { width, type = 'float32', warn = () => {} }: FeatureCacheOptions) {
    this.#folder = folder;
    this.#width = width;
    this.#half = type === 'float16';
    this.#format = {
      name: `${this.#half ? 'f16' : 'f32'}x${width}`,
      vectorBytes: width * (this.#half ? 2 : 4),
    };
    this.#warn = warn;
  }

  /** Opens a folder (made if need be) and indexes the vectors of this width and storage in it. */
  static async open(folder: string, options: FeatureCacheOptions): Promise<FeatureCache> {
    const cache = new FeatureCache(folder, options);
    cache.#attempt('use', () => {
      makeFolder(folder);
      removeTemporaries(folder);
      cache.#indexNew();
      cache.#merge();
    });
    return cache;
  }

  /** Number of vectors. */
  get size(): number {
    return this.#index.size;
  }

  /** Number of vectors put and not yet on disk. */
  get unwritten(): number {
    return this.#pending.length;
  }

  /** Whether there seems to be a vector of this key. */
  has(key: string): boolean {
    return this.#index.has(hashOf(key).toString('hex'));
  }

  /** The vectors of these keys, undefined where there is none or a damaged one. */
  async get(keys: readonly string[]): Promise<(Float32Array | undefined)[]> {
    const hashes = keys.map(hashOf);
    const found = new Map<string, Float32Array>();
    this.#attempt('read', () => {
      // Another process may have merged a segment since it was indexed; its records are in a new one then.
      if (!this.#read(hashes, found)) {
        this.#indexNew();
        this.#read(hashes, found);
      }
    });
    return hashes.map((hash) => found.get(hash.toString('hex')));
  }

  /** Remembers a vector; it is on disk after the next flush(). Gives it as get() will: rounded, where storage is float16. */
  put(key: string, vector: Float32Array): Float32Array {
    if (vector.length !== this.#width)
      throw new Error(`${vector.length} numbers in a cache of ${this.#width}`);
    const values = this.#half ? float32ToFloat16(vector) : vector.slice();
    const kept = values instanceof Uint16Array ? float16ToFloat32(values) : vector;
    const at = findNonFinite(kept)?.first;
    if (at !== undefined)
      throw new UserError(
        `a feature value of ${vector[at]} cannot be cached${this.#half ? ' as float16' : ''}`,
        this.#half ? 'Use --cache-type float32, or --cache none.' : 'Check the weights with weights --info.',
      );
    if (this.#writable)
      this.#pending.push({
        hash: hashOf(key),
        vector: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      });
    return kept;
  }

  /** Writes what was put. */
  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length === 0 || !this.#writable) return;
    this.#writable = this.#attempt('write', () => {
      const own = (this.#own ??= this.#newSegment());
      own.file.write(encodeRecords(pending, this.#format), own.end);
      for (const [i, { hash }] of pending.entries())
        this.#index.set(hash.toString('hex'), {
          segment: own.segment,
          offset: own.end + i * recordBytes(this.#format),
        });
      own.end += pending.length * recordBytes(this.#format);
    });
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.#own?.file.close();
      this.#own = undefined;
      this.#writable = false;
      this.#index.clear();
    }
  }

  #newSegment(): { file: DiskFile; segment: number; end: number } {
    const name = segmentName(this.#format);
    const file = new DiskFile(join(this.#folder, name), 'wx');
    return { file, segment: this.#enter(name), end: 0 };
  }

  #enter(name: string): number {
    this.#known.add(name);
    return this.#segments.push(name) - 1;
  }

  /** Indexes the segments that are not known yet. */
  #indexNew(): void {
    for (const name of listSegments(this.#folder, this.#format)) {
      if (this.#known.has(name)) continue;
      const segment = this.#enter(name);
      this.#attempt('read', () => {
        try {
          scanKeys(join(this.#folder, name), this.#format, (key, offset) =>
            this.#index.set(key, { segment, offset }),
          );
        } catch (error) {
          // Merged by another process since the folder was listed.
          if (!isMissing(error)) throw error;
        }
      });
    }
  }

  /** Merges the small segments of processes that have gone, where there are many. */
  #merge(): void {
    const small = this.#segments.filter(
      (name) =>
        isAbandoned(name, this.#format) &&
        (statSync(join(this.#folder, name), { throwIfNoEntry: false })?.size ?? smallSegment) < smallSegment,
    );
    if (small.length < manySegments) return;
    this.#attempt('merge', () => {
      mergeSegments(this.#folder, small, this.#format);
      this.#indexNew();
    });
  }

  /** Adds the vectors found to `found`. @returns false where a segment is no longer there */
  #read(hashes: readonly Buffer[], found: Map<string, Float32Array>): boolean {
    const bySegment = new Map<number, { key: string; hash: Buffer; offset: number }[]>();
    for (const hash of hashes) {
      const key = hash.toString('hex');
      const place = this.#index.get(key);
      if (!place || found.has(key)) continue;
      const list = bySegment.get(place.segment);
      if (list) list.push({ key, hash, offset: place.offset });
      else bySegment.set(place.segment, [{ key, hash, offset: place.offset }]);
    }
    let all = true;
    for (const [segment, places] of bySegment) {
      try {
        const vectors = readVectors(join(this.#folder, this.#segments[segment]!), places, this.#format);
        for (const [i, { key }] of places.entries())
          if (vectors[i]) found.set(key, this.#valuesOf(vectors[i]));
      } catch (error) {
        if (!isMissing(error)) throw error;
        all = false;
        for (const { key } of places) this.#index.delete(key);
      }
    }
    return all;
  }

  #valuesOf(vector: Buffer): Float32Array {
    const bytes = vector.buffer.slice(
      vector.byteOffset,
      vector.byteOffset + vector.byteLength,
    ) as ArrayBuffer;
    return this.#half ? float16ToFloat32(new Uint16Array(bytes)) : new Float32Array(bytes);
  }

  /** Does what touches the disk; what the system refuses is reported once. @returns whether it was done */
  #attempt(what: keyof typeof refusals, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined && !(error instanceof UserError)) throw error;
      const reason = diskError(this.#folder, error)?.message ?? `${this.#folder}: ${message}`;
      if (!this.#warned) this.#warn(`cache      ${refusals[what]} (${reason})`);
      this.#warned = true;
      return false;
    }
  }
}

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The cache that a `--cache` setting names: a folder, '' the one in the user's cache folder, 'none' no cache. */
export async function openFeatureCache(
  setting: string,
  options: FeatureCacheOptions,
): Promise<FeatureCache | null> {
  return setting === 'none' ? null : FeatureCache.open(setting || cacheFile('features'), options);
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();
