import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { UserError } from '../../common/errors.ts';
import { checkLimit } from '../../common/limits.ts';
import { RandomAccessFile } from './random-access.ts';
import { ZipReader } from './zip-reader.ts';

const stored = 0;
const deflated = 8;

/** How much of a compressed entry is read at a time. */
const packedPart = 2 ** 20;

/** A zip archive's entries, read in parts where they are stored uncompressed. */
export class ZipArchive {
  readonly path: string;
  readonly #zip: ZipFile;
  readonly #failed: Promise<never>;
  readonly #file: RandomAccessFile;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #starts = new Map<string, number>();
  readonly #unpacked = new Map<string, Promise<Uint8Array>>();
  #unpackedBytes = 0;

  private constructor(
    file: RandomAccessFile,
    zip: ZipFile,
    failed: Promise<never>,
    entries: ReadonlyMap<string, Entry>,
  ) {
    this.path = file.path;
    this.#file = file;
    this.#zip = zip;
    this.#failed = failed;
    this.#entries = entries;
  }

  /** Reads the directory. Throws `UserError` for a damaged, truncated or unreasonable archive. */
  static async open(path: string): Promise<ZipArchive> {
    const file = await RandomAccessFile.open(path);
    try {
      const reader = new ZipReader(file);
      const failed = new Promise<never>((_, reject) => reader.once('error', reject));
      failed.catch(() => {});
      const opening = yauzl.fromRandomAccessReaderPromise(reader, file.size, {
        autoClose: false,
        lazyEntries: true,
      });
      const zip = await Promise.race([opening, failed]);
      const entries = await readDirectory(path, zip, file.size);
      // Nobody listens any more; an event without a listener would end the process.
      zip.on('error', () => {});
      return new ZipArchive(file, zip, failed, entries);
    } catch (error) {
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

  /** `length` bytes of an entry from `offset`, in a buffer of their own. */
  async read(name: string, offset: number, length: number): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (!entry)
      throw new UserError(`${this.path}: has no entry ${name}`, 'The file is damaged; copy it again.');
    if (!(offset + length <= entry.uncompressedSize)) {
      throw new UserError(`${this.path}: entry ${name} is shorter than declared`, 'The file is damaged.');
    }
    if (entry.compressionMethod === stored)
      return this.#file.read((await this.#start(name, entry)) + offset, length);
    return (await this.#unpack(name, entry)).slice(offset, offset + length);
  }

  async #start(name: string, entry: Entry): Promise<number> {
    let start = this.#starts.get(name);
    if (start === undefined) {
      try {
        const header = this.#zip.readLocalFileHeaderPromise(entry, { minimal: true });
        start = (await Promise.race([header, this.#failed])).fileDataStart;
      } catch (error) {
        throw damaged(this.path, error);
      }
      this.#starts.set(name, start);
    }
    return start;
  }

  /** A compressed entry is unpacked once and kept, since any number of tensors may lie in it. */
  #unpack(name: string, entry: Entry): Promise<Uint8Array> {
    let unpacked = this.#unpacked.get(name);
    if (!unpacked) {
      this.#unpackedBytes += entry.uncompressedSize;
      checkLimit(
        'unpackedBytes',
        this.#unpackedBytes,
        (bytes) => `${this.path}: its compressed entries unpack to ${bytes} bytes`,
      );
      this.#unpacked.set(name, (unpacked = this.#inflate(name, entry)));
      // Its reader hears of a failure; this keeps the copy for later readers from being nobody's.
      unpacked.catch(() => {});
    }
    return unpacked;
  }

  async #inflate(name: string, entry: Entry): Promise<Uint8Array> {
    const start = await this.#start(name, entry);
    try {
      if (entry.compressionMethod !== deflated)
        throw new Error(`${name} is compressed by method ${entry.compressionMethod}`);
      const unpacked = new Uint8Array(entry.uncompressedSize);
      let length = 0;
      const packed = Readable.from(this.#parts(start, entry.compressedSize));
      const inflated = packed.pipe(createInflateRaw());
      packed.on('error', (error) => inflated.destroy(error));
      for await (const part of inflated as AsyncIterable<Buffer>) {
        if (length + part.length > unpacked.length) throw new Error(`${name} is longer than declared`);
        unpacked.set(part, length);
        length += part.length;
      }
      if (length < unpacked.length) throw new Error(`${name} is shorter than declared`);
      if (crc32(unpacked) !== entry.crc32) throw new Error(`${name} does not match its checksum`);
      return unpacked;
    } catch (error) {
      throw damaged(this.path, error);
    }
  }

  async *#parts(start: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < length; at += packedPart)
      yield await this.#file.read(start + at, Math.min(packedPart, length - at));
  }

  async close(): Promise<void> {
    this.#unpacked.clear();
    this.#zip.close();
    await this.#file.close();
  }
}

async function readDirectory(path: string, zip: ZipFile, size: number): Promise<Map<string, Entry>> {
  checkLimit('tensors', zip.entryCount, (count) => `${path}: its archive has ${count} entries`);
  const entries = new Map<string, Entry>();
  let packed = 0;
  let directory = 0;
  for await (const entry of zip.eachEntry()) {
    const { fileName, fileNameLength, extraFieldLength, fileCommentLength, compressedSize } = entry;
    if (entries.has(fileName)) throw new Error(`two entries are named ${fileName}`);
    if (entry.isEncrypted()) throw new Error(`${fileName} is encrypted`);
    directory += fileNameLength + extraFieldLength + fileCommentLength;
    checkLimit('directoryBytes', directory, (bytes) => `${path}: its archive's directory has ${bytes} bytes`);
    // Entries that share their bytes are how a few megabytes unpack to petabytes.
    packed += compressedSize;
    if (!(packed <= size)) throw new Error('its entries overlap');
    entries.set(fileName, entry);
  }
  return entries;
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
