import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Stopped, UserError } from '../common/errors.ts';
import type { Reporter } from '../common/reporter.ts';
import type { Gpu } from '../kernels/device/gpu.ts';
import { trainRun } from '../training/run.ts';
import { isRun } from '../training/run-folder.ts';
import { RunInUse } from '../training/run-lock.ts';
import type { Settings } from '../training/settings.ts';
import { isWithin, realRoot } from './locate.ts';
import { type PlannedRun, requireIdentity } from './plan.ts';
import { doneName } from './result-names.ts';
import type { ShardOutcome } from './run-shard.ts';
import { sweepIdentity, sweepSettings } from './sweep.ts';
import { WorkerLog } from './worker-log.ts';

export interface SweepWorkerOptions {
  readonly reporter: Reporter;
  /** Takes runs over from other machines at once: where a queue says that theirs are this worker's now. */
  readonly takeOver?: boolean | undefined;
  /** Folders outside of which nothing may be read or written; by default there are none such. */
  readonly roots?: readonly string[] | undefined;
}

/** A worker on a sweep: trains its runs, each from its last checkpoint, and notes what it did in the sweep's folder. */
export class SweepWorker {
  readonly run: PlannedRun;
  readonly #gpu: Gpu;
  readonly #settings: readonly Settings[];
  readonly #options: SweepWorkerOptions;
  readonly #log: WorkerLog;

  private constructor(run: PlannedRun, gpu: Gpu, settings: readonly Settings[], options: SweepWorkerOptions) {
    this.run = run;
    this.#gpu = gpu;
    this.#settings = settings;
    this.#options = options;
    this.#log = new WorkerLog(run.folder);
  }

  /** @throws UserError if this machine would train something else than was planned, or outside of the roots */
  static async open(run: PlannedRun, gpu: Gpu, options: SweepWorkerOptions): Promise<SweepWorker> {
    const settings = await sweepSettings(run);
    if (options.roots) for (const one of settings) requireWithin(options.roots, one, run.folder);
    requireIdentity(run, await sweepIdentity(settings));
    return new SweepWorker(run, gpu, settings, options);
  }

  /** Trains a run that is not finished. One that was stopped goes on where it was, in any process. */
  async shard(shard: number, { signal }: { readonly signal: AbortSignal }): Promise<ShardOutcome> {
    const { folder, plan } = this.run;
    const none = { rows: [], seconds: 0, published: 0 };
    if (existsSync(join(folder, doneName(plan, shard)))) return { outcome: 'already', ...none };
    const settings: Settings = { ...this.#settings[shard]!, tune: 'never' };
    const { reporter, takeOver } = this.#options;
    const began = performance.now();
    try {
      await trainRun(this.#gpu, settings, { signal, reporter, takeOver, resume: isRun(settings.out) });
    } catch (error) {
      if (error instanceof RunInUse) return { outcome: 'busy', ...none };
      if (error instanceof Stopped) return { outcome: 'stopped', ...none };
      throw error;
    }
    const seconds = (performance.now() - began) / 1000;
    const { name: adapter, driver } = this.#gpu.latest.adapter;
    this.#log.add({
      shard,
      written: true,
      rows: 1,
      errors: 0,
      reasons: {},
      at: Date.now(),
      seconds,
      read: 0,
      decode: 0,
      waited: 0,
      computed: seconds,
      published: 0,
      worker: this.#log.name,
      adapter,
      driver,
    });
    return { outcome: 'written', ...none, seconds };
  }

  async close(): Promise<void> {
    this.#log.close();
  }
}

/** Settings that name what a run reads, and where it writes besides its own folder. */
const places = ['root', 'csv', 'cache'] as const;

/** A plan may come from anyone who may write to the runs' folder, so its runs read and write where the worker was allowed to. */
function requireWithin(roots: readonly string[], settings: Settings, folder: string): void {
  for (const name of places) {
    const path = settings[name];
    if (path === '' || (name === 'cache' && path === 'none')) continue;
    if (roots.some((root) => isWithin(realRoot(root), realRoot(path)))) continue;
    throw new UserError(
      `${folder}: the ${name} of its runs, ${path}, lies outside of ${roots.join(', ')}`,
      'Start the worker with another --root for it.',
    );
  }
}
