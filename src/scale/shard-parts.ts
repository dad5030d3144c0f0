import { UserError } from '../common/errors.ts';
import { LimitError } from '../common/limits.ts';
import { locate } from './locate.ts';
import type { ManifestRow } from './manifest.ts';
import type { Plan } from './plan.ts';
import { fetchAhead, standardAhead } from './s3/fetch-ahead.ts';
import { S3Error, s3 } from './s3/s3-client.ts';
import { readObject } from './s3/s3-objects.ts';
import { isS3, parseS3 } from './s3/s3-url.ts';
import { tarImages } from './tar.ts';
import type { ShardImage } from './task.ts';

/** Images of a shard that are computed in one go, of its rows those in this order. */
export interface Part {
  readonly rows: readonly ManifestRow[];
  readonly images: readonly ShardImage[];
  /** Why a row has no image, by its place. */
  readonly errors: Map<number, string>;
}

/** Images whose bytes are in memory at once, a multiple of the batch, and the bytes beyond which no more join them. */
const [partImages, partBytes] = [256, 2 ** 26];

/** The images of a shard's rows: of files all at once, of a tar or a bucket, whose bytes are held, by and by. */
export async function* partsOf(
  rows: readonly ManifestRow[],
  root: string,
  { unit }: Pick<Plan, 'unit'>,
  signal?: AbortSignal,
): AsyncGenerator<Part, void, undefined> {
  if (unit === 'tar') for (const row of rows) yield* partsOfTar(root, row, signal);
  else if (isS3(root)) yield* partsOfBucket(root, rows, signal);
  else yield partOfFiles(root, rows);
}

function partOfFiles(root: string, rows: readonly ManifestRow[]): Part {
  const images: ShardImage[] = [];
  const errors = new Map<number, string>();
  const folders = new Map<string, string>();
  for (const [index, row] of rows.entries()) {
    const found = locate(root, row, folders);
    if ('error' in found) errors.set(index, found.error);
    else images.push({ index, file: found.file, name: row.path, prompt: row.prompt });
  }
  return { rows, images, errors };
}

async function* partsOfTar(
  root: string,
  row: ManifestRow,
  signal: AbortSignal | undefined,
): AsyncGenerator<Part, void, undefined> {
  const found = locate(root, row);
  if ('error' in found) throw new UserError(found.error, 'Plan again with a --root that holds all tars.');
  const part = new GrowingPart();
  for await (const { name, bytes } of tarImages(found.file, signal)) {
    if (bytes) part.add({ path: name }, bytes);
    else part.fail({ path: name }, `${name}: is larger than an image may be`);
    if (part.isFull) yield part.take();
  }
  if (!part.isEmpty) yield part.take();
}

/** Of one object: its bytes, or why it has none; `denied` where the store does not say whether it is there. */
type Fetched = { readonly bytes: Uint8Array } | { readonly error: string; readonly denied?: UserError };

async function* partsOfBucket(
  root: string,
  rows: readonly ManifestRow[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Part, void, undefined> {
  const part = new GrowingPart();
  let [denied, of]: [UserError | undefined, number] = [undefined, 0];
  const checked = () => {
    // One object may be withheld, or missing from a bucket that may not be listed. If all are, the credentials are wrong.
    if (denied && of === part.count) throw denied;
    [denied, of] = [undefined, 0];
    return part.take();
  };
  const fetched = fetchAhead(rows, (row, { signal, admit }) => fetchRow(root, row, signal, admit), {
    ...standardAhead,
    signal,
  });
  for await (const one of fetched) {
    const row = rows[part.total]!;
    if ('bytes' in one) part.add(row, one.bytes);
    else part.fail(row, one.error);
    if ('denied' in one && one.denied) [denied, of] = [one.denied, of + 1];
    if (part.isFull) yield checked();
  }
  if (!part.isEmpty) yield checked();
}

async function fetchRow(
  root: string,
  row: ManifestRow,
  signal: AbortSignal,
  admit: (bytes: number) => Promise<void>,
): Promise<Fetched> {
  const found = locate(root, row);
  if ('error' in found) return found;
  const begun = (length: number) => admit(Number.isFinite(length) ? length : 0);
  try {
    return { bytes: await readObject(s3, parseS3(found.file), 'imageBytes', { signal, begun }) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const reason = error.message.slice(found.file.length);
    const failed = { error: `${row.path}${reason}` };
    if (error instanceof S3Error) {
      if (error.status === 404) return failed;
      if (error.code === 'AccessDenied') return { ...failed, denied: error };
    } else if (error instanceof LimitError) return failed;
    // Overload, wrong credentials, a network that is down: nothing about this image, so the shard is tried again.
    throw error;
  }
}

/** Rows that are collected until they are enough. */
class GrowingPart {
  /** Of all parts. */
  total = 0;
  #rows: ManifestRow[] = [];
  #images: ShardImage[] = [];
  #errors = new Map<number, string>();
  #bytes = 0;

  get count(): number {
    return this.#rows.length;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  get isFull(): boolean {
    return this.count >= partImages || this.#bytes >= partBytes;
  }

  add(row: ManifestRow, bytes: Uint8Array): void {
    const { path: name, prompt } = row;
    this.#images.push({ index: this.#push(row), file: name, name, prompt, bytes });
    this.#bytes += bytes.length;
  }

  fail(row: ManifestRow, error: string): void {
    this.#errors.set(this.#push(row), error);
  }

  take(): Part {
    const part = { rows: this.#rows, images: this.#images, errors: this.#errors };
    [this.#rows, this.#images, this.#errors, this.#bytes] = [[], [], new Map(), 0];
    return part;
  }

  #push(row: ManifestRow): number {
    this.total++;
    return this.#rows.push(row) - 1;
  }
}
