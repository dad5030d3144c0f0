import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Published } from '../common/publish.ts';
import { locate, realRoot } from './locate.ts';
import { Manifest, type ManifestRow } from './manifest.ts';
import { publishShard } from './outputs.ts';
import type { PlannedRun } from './plan.ts';
import { doneName } from './result-names.ts';
import type { ShardRow } from './shard-row.ts';
import { tarImages } from './tar.ts';
import type { ShardImage, Task } from './task.ts';

/** What became of a shard: `already` there, `stopped` before its end, or published now. */
export interface ShardOutcome {
  readonly outcome: 'already' | 'stopped' | Published;
  readonly rows: readonly ShardRow[];
  /** Seconds in all, and of these to publish the result. */
  readonly seconds: number;
  readonly published: number;
}

export interface ShardOptions {
  /** Where images lie on this machine; by default where the plan says. */
  readonly root?: string | undefined;
  /** Ends the work at the next batch, without a result. */
  readonly signal?: AbortSignal | undefined;
  /** Called for each image that is done. */
  readonly advance?: (() => void) | undefined;
  /** Tries each image before, in another process, and gives the reasons of those that end it. */
  readonly probe?: ((images: readonly ShardImage[]) => Promise<ReadonlyMap<number, string>>) | undefined;
}

/** Computes shards of one run, for whoever hands out their numbers. */
export class ShardRunner {
  readonly run: PlannedRun;
  readonly #task: Task;
  readonly #manifest: Manifest;
  readonly #root: string;

  constructor(run: PlannedRun, task: Task, root?: string) {
    this.run = run;
    this.#task = task;
    this.#manifest = new Manifest(run.folder, run.plan.manifest, run.plan.shards);
    this.#root = realRoot(root ?? run.plan.root);
  }

  /** Milliseconds so far that the device waited for images. */
  get waited(): number {
    return this.#task.waited();
  }

  /**
   * Computes a shard whose result is not there yet and publishes it. May be called for one shard by any number of processes, any number
   * of times.
   *
   * @throws PublishConflict if another came to other bytes; any error of the disk or the device
   */
  async compute(shard: number, options: Omit<ShardOptions, 'root'> = {}): Promise<ShardOutcome> {
    const { signal, advance, probe } = options;
    const { folder, plan } = this.run;
    const none = { rows: [], seconds: 0, published: 0 };
    if (existsSync(join(folder, doneName(plan, shard)))) return { outcome: 'already', ...none };
    const began = performance.now();
    const done: ShardRow[] = [];
    for await (const part of this.#parts(shard)) {
      const computed = await this.#computePart(part, { signal, advance, probe });
      if (!computed) return { outcome: 'stopped', ...none };
      for (const row of computed) done.push(row);
    }
    const publishing = performance.now();
    const outcome = await publishShard(this.run, shard, this.#task.columns, done);
    const ended = performance.now();
    return { outcome, rows: done, seconds: (ended - began) / 1000, published: (ended - publishing) / 1000 };
  }

  /** The images of a shard: all of them, or those of a tar by and by. */
  async *#parts(shard: number): AsyncIterable<Part> {
    const rows = await this.#manifest.read(shard);
    if (this.run.plan.unit === 'tar') {
      for (const row of rows) yield* this.#tar(row);
      return;
    }
    const part: Part = { rows, images: [], errors: new Map() };
    for (const [index, row] of rows.entries()) {
      const found = locate(this.#root, row);
      if ('error' in found) part.errors.set(index, found.error);
      else part.images.push({ index, file: found.file, name: row.path, prompt: row.prompt });
    }
    yield part;
  }

  async *#tar(row: ManifestRow): AsyncIterable<Part> {
    const found = locate(this.#root, row);
    if ('error' in found) throw new UserError(found.error, 'Plan again with a --root that holds all tars.');
    let part: { rows: ManifestRow[]; images: ShardImage[]; errors: Map<number, string> } | undefined;
    for await (const { name, bytes } of tarImages(found.file)) {
      part ??= { rows: [], images: [], errors: new Map() };
      const index = part.rows.push({ path: name }) - 1;
      if (bytes) part.images.push({ index, file: name, name, bytes });
      else part.errors.set(index, `${name}: is larger than an image may be`);
      if (part.rows.length < tarPart) continue;
      yield part;
      part = undefined;
    }
    if (part) yield part;
  }

  /** Undefined where it was told to stop. */
  async #computePart(
    { rows, images, errors }: Part,
    { signal, advance, probe }: Omit<ShardOptions, 'root'>,
  ): Promise<readonly ShardRow[] | undefined> {
    for (const [index, error] of (await probe?.(images)) ?? []) errors.set(index, error);
    const results = new Map<number, Partial<ShardRow>>();
    for await (const result of this.#task.compute(images.filter(({ index }) => !errors.has(index)))) {
      if ('error' in result) errors.set(result.index, result.error);
      else results.set(result.index, result);
      advance?.();
      if (signal?.aborted && results.size + errors.size < rows.length) return undefined;
    }
    const files = new Map(images.map(({ index, file }) => [index, file]));
    return rows.map((row, i): ShardRow => {
      const error = errors.get(i);
      const { cells, feature } = results.get(i) ?? {};
      return {
        path: row.path,
        extra: row.extra ?? [],
        ...(error === undefined ? { cells, feature } : { error: namedBy(row, files.get(i), error) }),
      };
    });
  }
}

/** Images of a tar that are in memory at once, a multiple of the batch. */
const tarPart = 256;

/** Images of a shard that are computed in one go. */
interface Part {
  readonly rows: readonly ManifestRow[];
  readonly images: ShardImage[];
  readonly errors: Map<number, string>;
}

/** An error names the image as the list does: where it lies differs between machines, and results do not. */
const namedBy = (row: ManifestRow, file: string | undefined, error: string): string =>
  file !== undefined && error.startsWith(file) ? `${row.path}${error.slice(file.length)}` : error;
