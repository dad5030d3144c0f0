import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Published } from '../common/publish.ts';
import { addedTimes, type EncodeTimes } from '../features/encode-times.ts';
import { realRoot } from './locate.ts';
import { Manifest, type ManifestRow } from './manifest.ts';
import { publishShard } from './outputs.ts';
import type { PlannedRun } from './plan.ts';
import { doneName } from './result-names.ts';
import { type Part, partsOf } from './shard-parts.ts';
import type { ShardRow } from './shard-row.ts';
import type { ShardImage, Task } from './task.ts';

/** What became of a shard: `already` there, `stopped` before its end, in the hands of another process (`busy`), or published now. */
export interface ShardOutcome {
  readonly outcome: 'already' | 'stopped' | 'busy' | Published;
  readonly rows: readonly ShardRow[];
  /** Seconds in all, and of these to publish the result. */
  readonly seconds: number;
  readonly published: number;
}

export interface ShardOptions {
  /** Where images are read from on this machine; by default where the plan says. */
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
  /** Milliseconds that the bytes of a tar or a bucket were waited for. */
  #fetching = 0;

  constructor(run: PlannedRun, task: Task, root?: string) {
    this.run = run;
    this.#task = task;
    this.#manifest = new Manifest(run.folder, run.plan.manifest, run.plan.shards);
    this.#root = realRoot(root ?? run.plan.root);
  }

  /** What images have taken so far; of a tar or a bucket with what its bytes were waited for. */
  get times(): EncodeTimes {
    const fetching = { read: this.#fetching, decode: 0, waited: this.#fetching, computed: 0 };
    return addedTimes([this.#task.times(), fetching]);
  }

  async #waitFor<T>(parts: AsyncGenerator<T>): Promise<IteratorResult<T>> {
    const asked = performance.now();
    const next = await parts.next();
    this.#fetching += performance.now() - asked;
    return next;
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
    const parts = partsOf(await this.#manifest.read(shard), this.#root, plan, signal);
    try {
      for (let next = await this.#waitFor(parts); !next.done; next = await this.#waitFor(parts)) {
        const computed = await this.#computePart(next.value, { signal, advance, probe });
        if (!computed) return { outcome: 'stopped', ...none };
        for (const row of computed) done.push(row);
      }
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return { outcome: 'stopped', ...none };
      throw error;
    } finally {
      await parts.return();
    }
    const publishing = performance.now();
    const outcome = await publishShard(this.run, shard, this.#task.columns, done);
    const ended = performance.now();
    return { outcome, rows: done, seconds: (ended - began) / 1000, published: (ended - publishing) / 1000 };
  }

  /** Undefined where it was asked to stop. */
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

/** An error names the image as the list does: where it lies differs between machines, and results do not. */
const namedBy = (row: ManifestRow, file: string | undefined, error: string): string =>
  file !== undefined && error.startsWith(file) ? `${row.path}${error.slice(file.length)}` : error;
