import { UserError } from '../common/errors.ts';
import { sweepTemporaries } from '../common/publish.ts';
import type { Bar } from '../common/reporter.ts';
import type { EncodeTimes } from '../features/encode-times.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { temporariesOf } from './plan.ts';
import { missingShards } from './result-names.ts';
import type { ShardOptions, ShardOutcome, ShardRunner } from './run-shard.ts';
import { readWorkerLogs, WorkerLog } from './worker-log.ts';

export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly bar?: Bar | undefined;
  /** Unreadable images of the whole run beyond which the work ends with an error. */
  readonly maxErrors?: number | undefined;
}

/** What a worker did. */
export interface WorkDone {
  readonly written: number;
  readonly errors: number;
}

/** A worker on a run: computes shards, and notes what it did in the run's folder. */
export class ShardWorker {
  readonly runner: ShardRunner;
  readonly #log: WorkerLog;
  readonly #gpu: Gpu;
  readonly #options: WorkOptions;
  #failed = 0;
  /** Shards whose results are this worker's, and unreadable images among them. */
  readonly done = { written: 0, errors: 0 };

  private constructor(runner: ShardRunner, gpu: Gpu, log: WorkerLog, options: WorkOptions) {
    this.runner = runner;
    this.#gpu = gpu;
    this.#log = log;
    this.#options = options;
  }

  /** Clears away what processes that have gone left behind. */
  static async open(runner: ShardRunner, gpu: Gpu, options: WorkOptions): Promise<ShardWorker> {
    const { folder } = runner.run;
    sweepTemporaries(temporariesOf(folder));
    const worker = new ShardWorker(runner, gpu, new WorkerLog(folder), options);
    if (options.maxErrors !== undefined) {
      const records = await readWorkerLogs(folder);
      worker.#failed = records.reduce((sum, { written, errors }) => sum + (written ? errors : 0), 0);
    }
    return worker;
  }

  /**
   * Computes a shard; see {@link ShardRunner.compute}.
   *
   * @throws UserError if more images could not be read than may be
   */
  async shard(
    shard: number,
    { signal = this.#options.signal, probe }: Pick<ShardOptions, 'signal' | 'probe'> = {},
  ): Promise<ShardOutcome> {
    const { bar } = this.#options;
    const before = this.runner.times;
    const done = await this.runner.compute(shard, { signal, probe, advance: () => bar?.advance() });
    this.#note(shard, done, before);
    const { maxErrors = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#failed > maxErrors)
      throw new UserError(
        `${this.#failed} images of ${this.runner.run.folder} could not be read, more than --max-errors ${maxErrors}`,
        `What and why: node dist/status.js ${this.runner.run.folder}`,
      );
    return done;
  }

  close(): void {
    this.#log.close();
  }

  #note(shard: number, { outcome, rows, seconds, published }: ShardOutcome, before: EncodeTimes): void {
    if (outcome === 'already' || outcome === 'stopped') return;
    const { name: adapter, driver } = this.#gpu.latest.adapter;
    const failed = rows.filter(({ error }) => error !== undefined);
    const reasons: Record<string, number> = {};
    for (const { path, error } of failed) {
      const reason = error!.startsWith(`${path}: `) ? error!.slice(path.length + 2) : error!;
      if (reason in reasons || Object.keys(reasons).length < 20) reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
    const written = outcome === 'written';
    const { times } = this.runner;
    const took = (name: keyof EncodeTimes) => (times[name] - before[name]) / 1000;
    if (written) {
      this.done.written++;
      this.done.errors += failed.length;
      this.#failed += failed.length;
    }
    this.#log.add({
      shard,
      written,
      rows: rows.length,
      errors: failed.length,
      reasons,
      at: Date.now(),
      seconds,
      read: took('read'),
      decode: took('decode'),
      waited: took('waited'),
      computed: took('computed'),
      published,
      worker: this.#log.name,
      adapter,
      driver,
    });
  }
}

/** The shards of a part that have no result yet. Without a part: all of those. */
export function shardsToDo(
  run: Parameters<typeof missingShards>[0],
  part?: { readonly part: number; readonly of: number },
): number[] {
  const missing = missingShards(run);
  return part ? missing.filter((shard) => shard % part.of === part.part) : missing;
}
