import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { DiskFile, makeFolder, removeFile, renameFile } from '../common/disk.ts';
import { UserError } from '../common/errors.ts';
import { diskError, temporaryName, writeOutput } from '../common/files.ts';
import { finite, parseJson } from '../common/json.ts';
import { readRangeSync } from '../common/read-file.ts';

/** An image of a plan. */
export interface ManifestRow {
  /** What results call it. */
  readonly path: string;
  /** Where it is below the plan's root, if that is not `path`; `s3://` for an object of a store. */
  readonly file?: string | undefined;
  /** The text it was made from. */
  readonly prompt?: string | undefined;
  /** What a list had besides, a cell each of the plan's extra columns. */
  readonly extra?: readonly Cell[] | undefined;
}

/** What a table holds in one place. */
export type Cell = string | number | null;

const rowSchema = v.object({
  path: v.string(),
  file: v.exactOptional(v.string()),
  prompt: v.exactOptional(v.string()),
  extra: v.exactOptional(v.array(v.nullable(v.union([v.string(), finite])))),
});

/**
 * The rows of a plan: `manifest/NAME.jsonl`, an object a line, and beside it `manifest/NAME.index`: for each shard 8 bytes of its
 * first line's place (little-endian) and 8 bytes of the SHA-256 of its lines, and behind the last shard the file's size. So a shard is
 * read alone, from a file of any size, and a plan that names the index's SHA-256 names every row.
 */
export interface ManifestName {
  /** Of both files: the first 16 digits of the index's SHA-256. */
  readonly name: string;
  readonly sha256: string;
}

export const manifestFolder = (run: string): string => join(run, 'manifest');

/** Bytes of a shard in the index. */
const entry = 16;

/** The most bytes that one shard's rows may take. */
const shardBytes = 2 ** 28;

export interface WrittenManifest {
  readonly manifest: ManifestName;
  readonly rows: number;
  readonly shards: number;
}

/** Writes the rows as they come, `shardSize` a shard. Nothing of them is kept in memory. */
export async function writeManifest(
  run: string,
  rows: AsyncIterable<ManifestRow> | Iterable<ManifestRow>,
  shardSize: number,
): Promise<WrittenManifest> {
  const folder = manifestFolder(run);
  const index: Buffer[] = [];
  let [at, count] = [0, 0];
  let lines: string[] = [];
  // The name comes from what is in it, so that two that plan at once and find different images do not mix their rows.
  const temporary = join(folder, temporaryName());
  makeFolder(folder);
  const file = new DiskFile(temporary, 'wx');
  try {
    const flush = () => {
      const bytes = Buffer.from(lines.join(''));
      file.write(bytes);
      const one = Buffer.alloc(entry);
      one.writeBigUInt64LE(BigInt(at));
      createHash('sha256').update(bytes).digest().copy(one, 8, 0, 8);
      index.push(one);
      at += bytes.length;
      lines = [];
    };
    for await (const row of rows) {
      lines.push(`${JSON.stringify(row)}\n`);
      count++;
      if (lines.length === shardSize) flush();
    }
    if (lines.length > 0) flush();
    const end = Buffer.alloc(8);
    end.writeBigUInt64LE(BigInt(at));
    const bytes = Buffer.concat([...index, end]);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const name = sha256.slice(0, 16);
    file.sync();
    file.close();
    renameFile(temporary, join(folder, `${name}.jsonl`));
    await writeOutput(join(folder, `${name}.index`), bytes);
    return { manifest: { name, sha256 }, rows: count, shards: index.length };
  } catch (error) {
    file.close();
    if (existsSync(temporary)) removeFile(temporary);
    throw diskError(folder, error) ?? error;
  }
}

/** Reads a plan's rows, a shard at a time. */
export class Manifest {
  readonly #rows: string;
  readonly #index: string;
  readonly #shards: number;
  readonly #sha256: string;
  #entries: Buffer | undefined;

  constructor(run: string, { name, sha256 }: ManifestName, shards: number) {
    this.#rows = join(manifestFolder(run), `${name}.jsonl`);
    this.#index = join(manifestFolder(run), `${name}.index`);
    this.#sha256 = sha256;
    this.#shards = shards;
  }

  /** The rows of a shard. Throws `UserError` if they are not those that the plan names. */
  async read(shard: number): Promise<readonly ManifestRow[]> {
    const entries = (this.#entries ??= this.#readIndex());
    const start = Number(entries.readBigUInt64LE(shard * entry));
    const length = Number(entries.readBigUInt64LE((shard + 1) * entry)) - start;
    if (!(length >= 0 && length <= shardBytes)) throw this.#damaged(shard);
    const bytes = readRangeSync(this.#rows, start, length);
    const digest = createHash('sha256').update(bytes).digest().subarray(0, 8);
    if (!digest.equals(entries.subarray(shard * entry + 8, (shard + 1) * entry))) throw this.#damaged(shard);
    const lines = bytes.toString('utf8').split('\n').slice(0, -1);
    return lines.map((line, i) =>
      parseJson(line, rowSchema, `${this.#rows}, row ${i + 1} of shard ${shard}`),
    );
  }

  #readIndex(): Buffer {
    const bytes = readRangeSync(this.#index, 0, this.#shards * entry + 8);
    if (createHash('sha256').update(bytes).digest('hex') === this.#sha256) return bytes;
    throw new UserError(`${this.#index}: is not the index that plan.json names`, again);
  }

  #damaged(shard: number): UserError {
    return new UserError(`${this.#rows}: the rows of shard ${shard} are not those of plan.json`, again);
  }
}

const again = 'The folder is damaged; plan again in another one.';
