import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { UserError } from '../common/errors.ts';
import { RandomAccessFile } from './random-access.ts';

/** Most that a compressed entry may unpack to; PyTorch does not compress its storages. */
const largestUnpacked = 2 ** 31;

/** A zip archive's entries, read in parts where they are stored uncompressed. */
export class ZipArchive {
  readonly path: string;
  readonly #zip: ZipFile;
  readonly #file: RandomAccessFile;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #starts = new Map<string, number>();

  private constructor(file: RandomAccessFile, zip: ZipFile, entries: ReadonlyMap<string, Entry>) {
    this.path = file.path;
    this.#file = file;
    this.#zip = zip;
    this.#entries = entries;
  }

  /** Reads the directory. Throws `UserError` for a damaged or truncated archive. */
  static async open(path: string): Promise<ZipArchive> {
    const file = await RandomAccessFile.open(path);
    let zip: ZipFile | undefined;
    try {
      zip = await yauzl.openPromise(path, { autoClose: false, lazyEntries: true });
      const entries = new Map<string, Entry>();
      for await (const entry of zip.eachEntry()) {
        if (entries.has(entry.fileName)) throw new Error(`two entries are named ${entry.fileName}`);
        if (entry.isEncrypted()) throw new Error(`${entry.fileName} is encrypted`);
        entries.set(entry.fileName, entry);
      }
      return new ZipArchive(file, zip, entries);
    } catch (error) {
      zip?.close();
      await file.close();
      throw damaged(path, error);
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Unpacked bytes of an entry; undefined when there is none. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.uncompressedSize;
  }

  /** `length` bytes of an entry from `offset`. */
  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (!entry)
      throw new UserError(`${this.path}: has no entry ${name}`, 'The file is damaged; copy it again.');
    if (offset + length > entry.uncompressedSize) {
      throw new UserError(`${this.path}: entry ${name} is shorter than it should be`, 'The file is damaged.');
    }
    if (entry.compressionMethod !== 0) return (await this.#unpack(entry)).subarray(offset, offset + length);
    return this.#file.read((await this.#start(name, entry)) + offset, length);
  }

  async #start(name: string, entry: Entry): Promise<number> {
    let start = this.#starts.get(name);
    if (start === undefined) {
      try {
        start = (await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true })).fileDataStart;
      } catch (error) {
        throw damaged(this.path, error);
      }
      this.#starts.set(name, start);
    }
    return start;
  }

  async #unpack(entry: Entry): Promise<Uint8Array> {
    if (entry.uncompressedSize > largestUnpacked) {
      throw new UserError(`${this.path}: entry ${entry.fileName} unpacks to ${entry.uncompressedSize} bytes`);
    }
    try {
      const parts: Buffer[] = [];
      for await (const part of await this.#zip.openReadStreamPromise(entry)) parts.push(part as Buffer);
      return new Uint8Array(Buffer.concat(parts));
    } catch (error) {
      throw damaged(this.path, error);
    }
  }

  async close(): Promise<void> {
    this.#zip.close();
    await this.#file.close();
  }
}

function damaged(path: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const reason = (error as Error).message;
  return new UserError(
    `${path}: its zip archive is damaged or truncated (${reason})`,
    'Copy or download the file again.',
    { cause: error },
  );
}
