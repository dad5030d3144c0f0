import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { UserError } from '../common/errors.ts';
import { cacheFolder } from '../common/folders.ts';
import { float16ToFloat32, float32ToFloat16 } from './float16.ts';

export interface FeatureCacheOptions {
  /** Numbers a vector. */
  readonly width: number;
  /** Storage; float16 halves the disk space at a relative error of 5e-4. */
  readonly type?: 'float32' | 'float16';
}

interface Place {
  readonly file: FileHandle;
  readonly offset: number;
}

const keyBytes = 32;
const headerBytes = keyBytes + 4;

/**
 * Feature vectors on disk by key. Each process appends to a segment file of its own, so any number of runs may share a
 * folder; a record is its key's SHA-256, a CRC of the vector and the vector, so a torn or damaged record is found out
 * and counts as absent.
 */
export class FeatureCache {
  readonly #folder: string;
  readonly #width: number;
  readonly #half: boolean;
  readonly #index = new Map<string, Place>();
  readonly #files: FileHandle[] = [];
  #pending: { hash: Buffer; vector: Uint8Array }[] = [];
  #segment: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #end = 0;

  private constructor(folder: string, { width, type = 'float32' }: FeatureCacheOptions) {
    this.#folder = folder;
    this.#width = width;
    this.#half = type === 'float16';
  }

  /** Opens a folder (made if need be) and indexes the vectors of this width and storage in it. */
  static async open(folder: string, options: FeatureCacheOptions): Promise<FeatureCache> {
    const cache = new FeatureCache(folder, options);
    try {
      await mkdir(folder, { recursive: true });
      const names = (await readdir(folder)).filter(
        (name) => name.startsWith(cache.#prefix) && name.endsWith('.features'),
      );
      for (const name of names.sort()) await cache.#indexSegment(join(folder, name));
    } catch (error) {
      throw new UserError(
        `${folder}: the feature cache cannot be used (${(error as Error).message})`,
        'Choose another folder with --cache, or --cache none.',
      );
    }
    return cache;
  }

  /** Number of vectors. */
  get size(): number {
    return this.#index.size;
  }

  /** The vectors of these keys, undefined where there is none or a damaged one. */
  get(keys: readonly string[]): Promise<(Float32Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.#read(hashOf(key))));
  }

  /** Remembers a vector; it is on disk after the next flush(). Gives it as get() will: rounded, where storage is float16. */
  put(key: string, vector: Float32Array): Float32Array {
    if (vector.length !== this.#width)
      throw new Error(`${vector.length} numbers in a cache of ${this.#width}`);
    const values = this.#half ? float32ToFloat16(vector) : vector.slice();
    this.#pending.push({
      hash: hashOf(key),
      vector: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    });
    return values instanceof Uint16Array ? float16ToFloat32(values) : vector;
  }

  /** Writes what was put. Calls run one after another, so that two never write at the same place. */
  flush(): Promise<void> {
    const written = this.#writing.catch(() => {}).then(() => this.#write());
    this.#writing = written;
    return written;
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      for (const file of this.#files.splice(0)) await file.close();
      this.#segment = undefined;
      this.#index.clear();
    }
  }

  async #write(): Promise<void> {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    const record = Buffer.alloc(pending.length * this.#recordBytes);
    for (const [i, { hash, vector }] of pending.entries()) {
      const at = i * this.#recordBytes;
      record.set(hash, at);
      record.writeUInt32LE(crc32(vector), at + keyBytes);
      record.set(vector, at + headerBytes);
    }
    let segment: FileHandle;
    try {
      segment = await this.#ownSegment();
      for (let at = 0; at < record.length; ) {
        const { bytesWritten } = await segment.write(record, at, record.length - at, this.#end + at);
        at += bytesWritten;
      }
    } catch (error) {
      throw new UserError(
        `${this.#folder}: the feature cache cannot be written (${(error as Error).message})`,
        'Free some space, choose another folder with --cache, or --cache none.',
      );
    }
    for (const [i, { hash }] of pending.entries())
      this.#index.set(hash.toString('hex'), {
        file: segment,
        offset: this.#end + i * this.#recordBytes,
      });
    this.#end += record.length;
  }

  /** The file that this process appends to, made at the first write. */
  async #ownSegment(): Promise<FileHandle> {
    if (!this.#segment) {
      const name = `${this.#prefix}${process.pid}-${randomBytes(6).toString('hex')}.features`;
      this.#segment = await open(join(this.#folder, name), 'wx+');
      this.#files.push(this.#segment);
    }
    return this.#segment;
  }

  get #prefix(): string {
    return `${this.#half ? 'f16' : 'f32'}x${this.#width}-`;
  }

  get #recordBytes(): number {
    return headerBytes + this.#width * (this.#half ? 2 : 4);
  }

  /** Reads a segment's keys; whatever follows the last whole record is ignored. */
  async #indexSegment(path: string): Promise<void> {
    const file = await open(path, 'r');
    this.#files.push(file);
    const { size } = await file.stat();
    const key = Buffer.alloc(keyBytes);
    for (let offset = 0; offset + this.#recordBytes <= size; offset += this.#recordBytes) {
      await file.read(key, 0, keyBytes, offset);
      this.#index.set(key.toString('hex'), { file, offset });
    }
  }

  async #read(hash: Buffer): Promise<Float32Array | undefined> {
    const place = this.#index.get(hash.toString('hex'));
    if (!place) return undefined;
    const record = Buffer.alloc(this.#recordBytes);
    const { bytesRead } = await place.file.read(record, 0, record.length, place.offset);
    const vector = record.subarray(headerBytes);
    const whole = bytesRead === record.length && crc32(vector) === record.readUInt32LE(keyBytes);
    if (!whole || !hash.equals(record.subarray(0, keyBytes))) return undefined;
    const bytes = vector.buffer.slice(vector.byteOffset, vector.byteOffset + vector.byteLength);
    return this.#half ? float16ToFloat32(new Uint16Array(bytes)) : new Float32Array(bytes);
  }
}

/** The cache that a `--cache` setting names: a folder, '' the one in the user's cache folder, 'none' no cache. */
export async function openFeatureCache(
  setting: string,
  options: FeatureCacheOptions,
): Promise<FeatureCache | null> {
  return setting === 'none' ? null : FeatureCache.open(setting || join(cacheFolder(), 'features'), options);
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();
